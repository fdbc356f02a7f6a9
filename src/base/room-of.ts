import { statfsSync } from "node:fs";

/** How full the file system at a path is, as `df` tells: what only root may still write counts as neither. */
export function roomOf(path: string): { readonly usedBytes: number; readonly totalBytes: number } {
  const { bsize, blocks, bfree, bavail } = statfsSync(path);
  const used = blocks - bfree;
  return { usedBytes: used * bsize, totalBytes: (used + bavail) * bsize };
}
