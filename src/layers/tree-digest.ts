import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import type { Digest } from "../model/ids.ts";

export interface TreeDigest {
  readonly digest: Digest;
  /** Bytes of regular files. */
  readonly bytes: number;
}

/**
 * The SHA-256 of a tree: one line an entry, in the order of the paths, with type, mode, owner, group and content
 * (of a link its target). Times are not part of it: a tree that is generated twice is the same tree.
 */
export async function digestTree(root: string): Promise<TreeDigest> {
  const hash = createHash("sha256");
  const bytes = await addEntry(hash, root, "");
  return { digest: hash.digest("hex") as Digest, bytes };
}

async function addEntry(hash: Hash, root: string, path: string): Promise<number> {
  const absolute = `${root}/${path}`;
  const stats = await lstat(absolute);
  const header = [path, stats.mode.toString(8), stats.uid, stats.gid];
  if (stats.isDirectory()) {
    hash.update(`${JSON.stringify(header)}\n`);
    let bytes = 0;
    for (const name of (await readdir(absolute)).sort())
      bytes += await addEntry(hash, root, path === "" ? name : `${path}/${name}`);
    return bytes;
  }
  const content = stats.isSymbolicLink()
    ? await readlink(absolute)
    : stats.isFile()
      ? await digestFile(absolute)
      : stats.rdev;
  hash.update(`${JSON.stringify([...header, content])}\n`);
  return stats.isFile() ? stats.size : 0;
}

/** The SHA-256 of a file's content. */
export async function digestFile(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex") as Digest;
}
