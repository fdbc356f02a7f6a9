import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import type { Digest } from "../model/ids.ts";

export interface TreeDigest {
  readonly digest: Digest;
  /** Bytes of regular files. */
  readonly bytes: number;
}

/** What a tree's digest says of one entry. */
export interface DigestedEntry {
  readonly path: string;
  /** With the bits of its type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** SHA-256 of a file's bytes, a link's target, a device's number; nothing of a directory. */
  readonly content?: string | number;
  /** What else is told where the digest is to have it. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** The SHA-256 of one line an entry, in the order in which they are added. */
export class TreeHasher {
  readonly #hash = createHash("sha256");

  add({ path, mode, uid, gid, content, more }: DigestedEntry): void {
    const told = [path, mode.toString(8), uid, gid, content, more].filter((value) => value !== undefined);
    this.#hash.update(`${JSON.stringify(told)}\n`);
  }

  /** To be asked for once. */
  digest(): Digest {
    return this.#hash.digest("hex") as Digest;
  }
}

/**
 * The SHA-256 of a tree that Plybox has generated: one line an entry, in the order of the paths, with type, mode, owner,
 * group and content. Times are not part of it: a tree that is generated twice is the same tree.
 */
export async function digestTree(root: string): Promise<TreeDigest> {
  const hasher = new TreeHasher();
  const bytes = await addEntry(hasher, root, "");
  return { digest: hasher.digest(), bytes };
}

async function addEntry(hasher: TreeHasher, root: string, path: string): Promise<number> {
  const absolute = `${root}/${path}`;
  const stats = await lstat(absolute);
  const { mode, uid, gid } = stats;
  if (stats.isDirectory()) {
    hasher.add({ path, mode, uid, gid });
    let bytes = 0;
    for (const name of (await readdir(absolute)).sort())
      bytes += await addEntry(hasher, root, path === "" ? name : `${path}/${name}`);
    return bytes;
  }
  const content = stats.isSymbolicLink()
    ? await readlink(absolute)
    : stats.isFile()
      ? await digestFile(absolute)
      : stats.rdev;
  hasher.add({ path, mode, uid, gid, content });
  return stats.isFile() ? stats.size : 0;
}

/** The SHA-256 of a file's content. */
export async function digestFile(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex") as Digest;
}
