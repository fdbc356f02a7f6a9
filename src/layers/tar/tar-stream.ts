import { badArchive } from "./archive-error.ts";
import { parsePax, paxNumber } from "./pax.ts";
import { BLOCK, isZero, parseHeader } from "./tar-header.ts";

/** Names and sizes that a header has no room for; no honest one comes near. */
const MOST_RECORD_BYTES = 64 * 1024;

/** One entry of an archive that is read as it comes. Its content is there until the next one is asked for. */
export interface StreamedEntry {
  readonly name: string;
  /** The type's character: `0` is a file, `5` a directory. */
  readonly type: string;
  readonly size: number;
  readonly content: () => AsyncGenerator<Buffer>;
}

/**
 * The entries of an uncompressed archive that comes in one piece after the other and is kept nowhere. What an entry's
 * reader leaves is passed over. For archives whose names are ASCII; `readTar` reads all others.
 * @throws PlyboxError `file/bad-archive`, also for one that is cut off
 */
export async function* streamTar(chunks: AsyncIterable<Buffer>): AsyncGenerator<StreamedEntry> {
  const source = new Source(chunks);
  try {
    for (let records = new Map<string, Buffer>() as ReturnType<typeof parsePax>; ; ) {
      const block = await source.exactly(BLOCK);
      if (isZero(block)) break;
      const header = parseHeader(block);
      if (header.type === "x") {
        if (header.size > MOST_RECORD_BYTES) throw badArchive(`a header has ${header.size} bytes`);
        records = parsePax(await source.exactly(header.size));
        await source.skip(padding(header.size));
        continue;
      }
      const size = paxNumber(records, "size") ?? header.size;
      if (size < 0) throw badArchive(`its size is ${size}`);
      const end = source.taken + size;
      const name = records.get("path")?.toString("latin1") ?? header.name;
      records = new Map();
      yield { name, type: header.type, size, content: () => source.upTo(end) };
      await source.skip(end - source.taken + padding(size));
    }
    // Whoever sends it has a second block of zeros and more to say, and would be cut off before.
    await source.drain();
  } finally {
    await source.close();
  }
}

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

class Source {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes that have been handed out or skipped. */
  taken = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async exactly(length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.upTo(this.taken + length)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async *upTo(end: number): AsyncGenerator<Buffer> {
    while (this.taken < end) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#chunks.next();
        if (done === true) throw badArchive("it has no end: it is cut off");
        this.#rest = value;
      }
      const piece = this.#rest.subarray(0, end - this.taken);
      this.#rest = this.#rest.subarray(piece.length);
      this.taken += piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  async skip(length: number): Promise<void> {
    for await (const _ of this.upTo(this.taken + length));
  }

  async drain(): Promise<void> {
    for (;;) if ((await this.#chunks.next()).done === true) return;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
