import { spawn } from "node:child_process";
import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { PlyboxError } from "../../model/errors.ts";
import type { Digest } from "../../model/ids.ts";
import { PROGRAM_ENVIRONMENT, requireProgram } from "../programs.ts";
import { badArchive } from "./archive-error.ts";

/** How compressed archives begin, and the Debian package of the program that reads what Node cannot. */
const COMPRESSIONS = [
  { name: "gzip", magic: [0x1f, 0x8b], debianPackage: undefined },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], debianPackage: "zstd" },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], debianPackage: "xz-utils" },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68], debianPackage: "bzip2" },
] as const;

const MAGIC_BYTES = 6;

type Chunks = AsyncIterable<Buffer>;

export interface SpoolOptions {
  /** At most so many bytes are written; what is more is `layer/too-large`. */
  readonly mostBytes: number;
  /** Whether `target` is there, and this follows what it has. */
  readonly append?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes of the archive, as it comes, have been taken. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** SHA-256 of an archive, as it came and uncompressed. */
export interface SpooledDigests {
  readonly digest: Digest;
  readonly unpackedDigest: Digest;
}

/**
 * Writes an archive to `target`, unpacked when it is compressed by gzip, zstd, xz or bzip2.
 * @throws PlyboxError `file/bad-archive`, `layer/too-large`, `host/missing`, `aborted`
 */
export async function spoolArchive(archive: Chunks, target: string, options: SpoolOptions): Promise<SpooledDigests> {
  const { mostBytes, append = false, signal, onBytes } = options;
  const came = createHash("sha256");
  const written = createHash("sha256");
  let isCompressed = false;
  async function* observed(): AsyncGenerator<Buffer> {
    let taken = 0;
    for await (const chunk of archive) {
      came.update(chunk);
      taken += chunk.length;
      onBytes?.(taken);
      yield chunk;
    }
  }
  try {
    const { head, all } = await peek(observed());
    const compression = compressionOf(head);
    isCompressed = compression !== undefined;
    const unpacked = bounded(await unpackedBy(compression, all), mostBytes);
    const observe = isCompressed ? hashed(unpacked, written) : unpacked;
    await pipeline(observe, createWriteStream(target, { flags: append ? "a" : "wx", mode: 0o600 }), {
      ...(signal !== undefined && { signal }),
    });
  } catch (cause) {
    if (signal?.aborted) throw new PlyboxError("aborted", "the build was aborted", { cause: signal.reason });
    const { code = "", message } = cause as NodeJS.ErrnoException;
    throw code.startsWith("Z_") ? badArchive(message, cause) : cause;
  }
  const digest = came.digest("hex") as Digest;
  return { digest, unpackedDigest: isCompressed ? (written.digest("hex") as Digest) : digest };
}

async function* hashed(chunks: Chunks, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

async function peek(chunks: AsyncGenerator<Buffer>): Promise<{ head: Buffer; all: Chunks }> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < MAGIC_BYTES) {
    const next = await chunks.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield head;
    yield* chunks;
  }
  return { head, all: all() };
}

async function* bounded(chunks: Chunks, mostBytes: number): AsyncGenerator<Buffer> {
  let written = 0;
  for await (const chunk of chunks) {
    written += chunk.length;
    if (written > mostBytes) {
      const message = `the archive is refused: it has more than the ${mostBytes} bytes that are allowed`;
      throw new PlyboxError("layer/too-large", message);
    }
    yield chunk;
  }
}

/** By how it begins; undefined for what is not compressed in a way that is known. */
export const compressionOf = (head: Buffer) =>
  COMPRESSIONS.find(({ magic }) => magic.every((byte, i) => head[i] === byte));

async function unpackedBy(found: ReturnType<typeof compressionOf>, chunks: Chunks): Promise<Chunks> {
  if (found === undefined) return chunks;
  if (found.debianPackage !== undefined) {
    return unpackWith(found.name, await requireProgram(found.name, found.debianPackage), chunks);
  }
  const source = Readable.from(chunks, { objectMode: false });
  const gunzip = createGunzip();
  source.once("error", (error) => gunzip.destroy(error));
  return source.pipe(gunzip);
}

async function* unpackWith(name: string, program: string, chunks: Chunks): AsyncGenerator<Buffer> {
  const child = spawn(program, ["-d", "-c"], { stdio: ["pipe", "pipe", "ignore"], env: PROGRAM_ENVIRONMENT });
  const closed = once(child, "close") as Promise<[code: number | null]>;
  closed.catch(() => {});
  const fed = pipeline(chunks, child.stdin).then(
    () => undefined,
    // That the program takes no more shows in its exit.
    (error: NodeJS.ErrnoException) => (error.code === "EPIPE" ? undefined : error),
  );
  try {
    yield* child.stdout;
    const failure = await fed;
    if (failure !== undefined) throw failure;
    const [code] = await closed;
    if (code !== 0) throw badArchive(`${name} cannot unpack it`);
  } finally {
    child.kill("SIGKILL");
  }
}
