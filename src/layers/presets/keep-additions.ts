import type { BigIntStats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import type { Node } from "../tar/layer-tree.ts";
import { whiteout } from "../tar/layer-tree.ts";

const CHUNK_BYTES = 1024 * 1024;

/**
 * Takes out of a tree what the tree at `below` has just so, and notes what of that is gone in it: what is left makes the one
 * of the other as a layer on it. Times alone make no difference.
 * @param contents where the contents of the tree are
 */
export async function keepAdditions(root: Node, contents: FileHandle, below: Buffer): Promise<void> {
  const names = new Set(await readdir(below, { encoding: "latin1" }));
  for (const [name, node] of root.children) {
    if (!names.delete(name)) continue;
    if (await isThere(node, contents, inDirectory(below, name))) root.children.delete(name);
  }
  for (const name of names) root.children.set(name, whiteout());
}

/** Whether all of a node is there; of a directory what is not is left in it. */
async function isThere(node: Node, contents: FileHandle, there: Buffer): Promise<boolean> {
  const stats = await lstat(there, { bigint: true });
  if (node.type === "directory" && stats.isDirectory()) {
    await keepAdditions(node, contents, there);
    return node.children.size === 0 && hasSameOwner(node, stats);
  }
  return await isSame(node, stats, { contents, there });
}

const hasSameOwner = (node: Node, stats: BigIntStats): boolean =>
  node.attributes.size === 0 &&
  node.mode === Number(stats.mode & 0o7777n) &&
  node.uid === Number(stats.uid) &&
  node.gid === Number(stats.gid);

async function isSame(
  node: Node,
  stats: BigIntStats,
  { contents, there }: { readonly contents: FileHandle; readonly there: Buffer },
): Promise<boolean> {
  if (!hasSameOwner(node, stats)) return false;
  switch (node.type) {
    case "file":
      return stats.isFile() && stats.size === BigInt(node.size) && (await hasSameBytes(node, contents, there));
    case "symlink":
      return stats.isSymbolicLink() && (await readlink(there, { encoding: "latin1" })) === node.link;
    case "character":
      return stats.isCharacterDevice() && hasSameNumbers(node, stats.rdev);
    case "block":
      return stats.isBlockDevice() && hasSameNumbers(node, stats.rdev);
    case "fifo":
      return stats.isFIFO();
    case "directory":
      return false;
  }
}

/** As the kernel packs them. */
const hasSameNumbers = ({ major, minor }: Node, device: bigint): boolean =>
  BigInt(major) === ((device >> 8n) & 0xfffn) && BigInt(minor) === ((device & 0xffn) | ((device >> 12n) & 0xfff00n));

async function hasSameBytes({ offset, size }: Node, contents: FileHandle, there: Buffer): Promise<boolean> {
  const file = await open(there, "r");
  try {
    const [ours, theirs] = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)];
    for (let done = 0; done < size; ) {
      const wanted = Math.min(CHUNK_BYTES, size - done);
      const [a, b] = await Promise.all([
        contents.read(ours, 0, wanted, offset + done),
        file.read(theirs, 0, wanted, done),
      ]);
      const length = Math.min(a.bytesRead, b.bytesRead);
      if (length === 0 || ours.compare(theirs, 0, length, 0, length) !== 0) return false;
      done += length;
    }
    return true;
  } finally {
    await file.close();
  }
}

const inDirectory = (directory: Buffer, name: string): Buffer =>
  Buffer.concat([directory, Buffer.from("/"), Buffer.from(name, "latin1")]);
