import type { BigIntStats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { PlyboxError } from "../model/errors.ts";

/** Ids on disk start at 0 and a sandbox has this many, so an id beyond belongs to nobody inside. */
const ID_COUNT = 65_536;

export interface TreeSize {
  readonly entries: number;
  /** Bytes of regular files. */
  readonly bytes: number;
  /** Directories that are mounts, one character a byte of their paths; what is in them was not counted. */
  readonly mounts: readonly string[];
}

/**
 * Measures the tree at `root` on its own file system, and refuses one that a layer cannot hold.
 * @throws PlyboxError `input/invalid` naming the first path whose owner or group id is 65,536 or more; `aborted`
 */
export async function scanTree(root: string, signal?: AbortSignal): Promise<TreeSize> {
  const top = await lstat(root, { bigint: true });
  checkIds(".", top);
  let entries = 1;
  let bytes = 0;
  const mounts: string[] = [];
  const pending = [""];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    if (signal?.aborted) throw new PlyboxError("aborted", "the build was aborted", { cause: signal.reason });
    const names = await readdir(inTree(root, directory), { encoding: "latin1" });
    for (const name of names.sort()) {
      const path = directory === "" ? name : `${directory}/${name}`;
      const stats = await lstat(inTree(root, path), { bigint: true });
      checkIds(path, stats);
      entries++;
      if (stats.isFile()) bytes += Number(stats.size);
      // What is mounted inside (a forgotten /proc) is not part of the layer; who packs it is told the same.
      if (stats.isDirectory()) (stats.dev === top.dev ? pending : mounts).push(path);
    }
  }
  return { entries, bytes, mounts };
}

/** File names are bytes, not always text: inside a tree they are carried as one character a byte. */
const inTree = (root: string, path: string): Buffer =>
  Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);

function checkIds(path: string, stats: BigIntStats): void {
  const tooHigh =
    stats.uid >= ID_COUNT ? `owner id ${stats.uid}` : stats.gid >= ID_COUNT ? `group id ${stats.gid}` : null;
  if (tooHigh === null) return;
  const shown = JSON.stringify(Buffer.from(path, "latin1").toString());
  throw new PlyboxError("input/invalid", `${shown} has ${tooHigh}; a layer holds ids 0 to ${ID_COUNT - 1}`, {
    field: "directory",
  });
}
