import type { ExecEvent, OutputStream } from "../model/exec.ts";
import type { GrowingBlock } from "./growing-block.ts";
import { append, LARGE_BYTES } from "./growing-block.ts";

/** Beyond this many, small pieces join their stream's last entry, whatever the other stream has sent since. */
const MANY_ENTRIES = 1024;

interface OutputEntry extends GrowingBlock {
  readonly kind: "output";
  readonly stream: OutputStream;
  readonly offset: number;
}

type Entry = OutputEntry | Exclude<ExecEvent, { kind: "output" }>;

/**
 * What has arrived of a command and not been taken. Credit bounds the bytes; this bounds what they cost: a peer that
 * sends byte by byte fills a few blocks instead of an object for each, and holds no large chunk by a small piece.
 */
export class OutputQueue {
  #entries: Entry[] = [];
  /** The last output entry of each stream while it is queued. */
  readonly #tails = new Map<OutputStream, OutputEntry>();

  /** Output continues its stream where the stream's last event ended. */
  push(event: ExecEvent): void {
    if (event.kind !== "output") {
      if (event.kind === "lost") this.#tails.delete(event.stream);
      this.#entries.push(event);
      return;
    }
    const { kind, stream, offset, bytes } = event;
    const isSmall = bytes.length < LARGE_BYTES;
    const tail = this.#tails.get(stream);
    if (isSmall && tail !== undefined && (tail === this.#entries.at(-1) || this.#entries.length >= MANY_ENTRIES)) {
      append(tail, bytes);
      return;
    }
    const block = isSmall ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const entry: OutputEntry = { kind, stream, offset, block, length: block.length };
    this.#entries.push(entry);
    this.#tails.set(stream, entry);
  }

  take(): ExecEvent | undefined {
    const entry = this.#entries.shift();
    if (entry?.kind !== "output") return entry;
    const { kind, stream, offset, block, length } = entry;
    if (this.#tails.get(stream) === entry) this.#tails.delete(stream);
    return { kind, stream, offset, bytes: block.subarray(0, length) };
  }

  clear(): void {
    this.#entries = [];
    this.#tails.clear();
  }
}
