import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

const BLOCK = 512;

/** Bytes that a file takes on its disk, or a directory with all that is in it. What goes meanwhile counts nothing. */
export async function diskBytes(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) return 0;
  let bytes = stats.blocks * BLOCK;
  if (!stats.isDirectory()) return bytes;
  for (const name of await readdir(path).catch(() => [])) bytes += await diskBytes(join(path, name));
  return bytes;
}
