import type { BigIntStats, Dir } from "node:fs";
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { lstat, open, opendir } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";

/** More takes a minute of processor time to walk, which no figure is worth. */
const MAX_ENTRIES = 1_000_000;
/** Each level holds two descriptors while what is below it is walked. */
const MAX_DEPTH = 128;
/** Entries that are looked at together: few enough that other work finds the thread pool free. */
const BATCH = 16;
/** How long a walk works before it rests, and how many times as long it rests: it works a quarter of the time. */
const WORK_MS = 5;
const REST_FACTOR = 3;

export interface DirectoryBytesOptions {
  readonly signal: AbortSignal;
  /** Tests only. */
  readonly maxEntries?: number;
}

/**
 * The bytes of disk that a directory and everything below it take: what `du -x` tells, so that holes take nothing and a
 * file of several names is counted once. Null where there are more than a million entries or 128 levels.
 *
 * Whoever owns the tree may change it meanwhile, to lead the walk elsewhere too: each name is looked up in a directory
 * that is held open, and no symbolic link is followed. What vanishes is not counted.
 *
 * @throws the signal's reason; the system's error where a directory cannot be read
 */
export async function directoryBytes(path: string, options: DirectoryBytesOptions): Promise<number | null> {
  const root = await ifThere(lstat(path, { bigint: true }));
  if (root === undefined) return 0;
  const walk = new Walk(root, options);
  try {
    await walk.entry(path, root, 0);
  } catch (error) {
    if (error === TOO_MUCH) return null;
    throw error;
  }
  return walk.bytes;
}

const TOO_MUCH = new Error("the tree is too large to be measured");

class Walk {
  readonly #device: bigint;
  readonly #signal: AbortSignal;
  readonly #maxEntries: number;
  /** Files of several names that have been counted, by inode: there is only one device. */
  readonly #linked = new Set<bigint>();
  #blocks = 0n;
  #entries = 0;
  #beganMs = performance.now();

  constructor(root: BigIntStats, { signal, maxEntries = MAX_ENTRIES }: DirectoryBytesOptions) {
    this.#device = root.dev;
    this.#signal = signal;
    this.#maxEntries = maxEntries;
  }

  get bytes(): number {
    return Number(this.#blocks) * 512;
  }

  async entry(path: string | Buffer, stat: BigIntStats, depth: number): Promise<void> {
    this.#entries += 1;
    if (this.#entries > this.#maxEntries) throw TOO_MUCH;
    if (stat.dev !== this.#device) return;
    if (stat.isDirectory()) {
      this.#blocks += stat.blocks;
      await this.#directory(path, depth + 1);
      return;
    }
    if (stat.nlink > 1n) {
      if (this.#linked.has(stat.ino)) return;
      this.#linked.add(stat.ino);
    }
    this.#blocks += stat.blocks;
  }

  async #directory(path: string | Buffer, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) throw TOO_MUCH;
    const handle = await ifThere(openDirectory(path));
    if (handle === undefined) return;
    try {
      const held = `/proc/self/fd/${handle.fd}`;
      // Names are bytes, of which latin1 loses none.
      const names = await ifThere(opendir(held, { encoding: "latin1", bufferSize: BATCH }));
      if (names === undefined) return;
      for await (const batch of batches(names)) {
        await this.#rest();
        const found = batch.map((name) => look(Buffer.from(`${held}/${name}`, "latin1")));
        for (const each of await Promise.all(found)) {
          if (each !== undefined) await this.entry(each.path, each.stat, depth);
        }
      }
    } finally {
      await handle.close();
    }
  }

  /** Leaves the disk and the processor to others. */
  async #rest(): Promise<void> {
    this.#signal.throwIfAborted();
    const workedMs = performance.now() - this.#beganMs;
    if (workedMs < WORK_MS) return;
    await setTimeout(workedMs * REST_FACTOR, undefined, { signal: this.#signal });
    this.#beganMs = performance.now();
  }
}

const openDirectory = (path: string | Buffer): Promise<FileHandle> =>
  open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);

async function look(path: Buffer): Promise<{ readonly path: Buffer; readonly stat: BigIntStats } | undefined> {
  const stat = await ifThere(lstat(path, { bigint: true }));
  return stat && { path, stat };
}

async function* batches(directory: Dir): AsyncGenerator<readonly string[], void, undefined> {
  let batch: string[] = [];
  for await (const { name } of directory) {
    batch.push(name);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  yield batch;
}

/** Undefined for what has vanished, or has become something else than the directory that it was. */
async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}

const GONE: ReadonlySet<string | undefined> = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);
