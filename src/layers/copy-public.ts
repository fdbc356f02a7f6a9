import { constants } from "node:fs";
import { chmod, lstat, mkdir, open, readdir, readlink, symlink } from "node:fs/promises";
import { makeFile } from "./skeleton.ts";

/** World-readable by mistake is still a secret. */
const PRIVATE_KEY = "PRIVATE KEY-----";

export interface PublicCopy {
  readonly from: string;
  readonly to: string;
  /** Called with the absolute path of each file and directory before it is read. */
  readonly onRead: (path: string) => Promise<void>;
}

/**
 * Copies `path` (relative, such as `ssl/certs`) with all below it, as far as everybody on the machine may read it.
 * Symbolic links are copied, never followed. Devices, sockets, pipes, and files that hold a private key are left out.
 */
export async function copyPublic(copy: PublicCopy, path: string): Promise<void> {
  const parts = path.split("/");
  for (let depth = 1; depth < parts.length; depth++) {
    const isDirectory = await copyEntry(copy, parts.slice(0, depth).join("/"), false);
    if (!isDirectory) return;
  }
  await copyEntry(copy, path, true);
}

/** Returns whether `path` is a directory and was copied. */
async function copyEntry(copy: PublicCopy, path: string, deep: boolean): Promise<boolean> {
  const source = `${copy.from}/${path}`;
  const stats = await lstat(source).catch(() => undefined);
  if (stats?.isSymbolicLink()) await copyLink(copy, path);
  else if (stats?.isFile() && (stats.mode & 0o004) !== 0) await copyFile(copy, path);
  const isReadable = stats?.isDirectory() === true && (stats.mode & 0o005) === 0o005;
  if (!isReadable) return false;
  await makeDirectory(`${copy.to}/${path}`);
  if (!deep) return true;
  await copy.onRead(source);
  for (const name of await readdir(source)) await copyEntry(copy, `${path}/${name}`, true);
  return true;
}

async function copyLink(copy: PublicCopy, path: string): Promise<void> {
  await symlink(await readlink(`${copy.from}/${path}`), `${copy.to}/${path}`).catch(ignoreExisting);
}

async function copyFile(copy: PublicCopy, path: string): Promise<void> {
  const source = `${copy.from}/${path}`;
  await copy.onRead(source);
  // O_NOFOLLOW and the second look: the file may have become another one since lstat. O_NONBLOCK: or a pipe.
  const handle = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => undefined,
  );
  if (handle === undefined) return;
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || (stats.mode & 0o004) === 0) return;
    const content = await handle.readFile();
    if (content.includes(PRIVATE_KEY)) return;
    await makeFile(`${copy.to}/${path}`, content, (stats.mode & 0o111) === 0 ? 0o644 : 0o755);
  } finally {
    await handle.close();
  }
}

async function makeDirectory(path: string): Promise<void> {
  await mkdir(path).catch(ignoreExisting);
  await chmod(path, 0o755);
}

/** Two entries of one list may have the same parent. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
