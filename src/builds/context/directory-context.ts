import type { Stats } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { create } from "tar";
import { PlyboxError } from "../../model/errors.ts";
import { ignoredPaths } from "./ignored-paths.ts";

export const IGNORE_FILE = ".dockerignore";

/**
 * What of a directory is not to be copied: `NAME.dockerignore` beside the Dockerfile says it, or else `.dockerignore`.
 * @param dockerfile path of the Dockerfile; undefined where it is no file
 */
export async function readIgnoreFile(directory: string, dockerfile: string | undefined): Promise<string> {
  const own = dockerfile === undefined ? undefined : await textOf(`${dockerfile}${IGNORE_FILE}`);
  return own ?? (await textOf(join(directory, IGNORE_FILE))) ?? "";
}

/**
 * A directory of this machine as an archive. What is left out is not read, nor is what is below it; sockets, FIFOs and
 * devices are left out, which no instruction copies.
 * @param own a directory of Plybox's own, in which the archive itself may be kept: it is left out, too
 * @throws PlyboxError `input/invalid`
 */
export async function* archiveDirectory(directory: string, ignore: string, own: string): AsyncGenerator<Buffer> {
  const ignored = ignoredPaths(ignore);
  const filter = (name: string, stats: Partial<Stats>): boolean => {
    const path = name.replace(/^\.\/+/, "");
    if (path === "." || path === "") return true;
    if (join(directory, path) === own) return false;
    if (!(stats.isDirectory?.() || stats.isFile?.() || stats.isSymbolicLink?.())) return false;
    return stats.isDirectory?.() === true ? !ignored.hasAllBelow(path) : !ignored.has(path);
  };
  try {
    const options = { cwd: directory, filter: filter as Parameters<typeof create>[0]["filter"] & {}, strict: true };
    const archive = create(options, ["."]);
    // Iterated by itself it tells no error, and never ends.
    const told = new PassThrough();
    archive.on("error", (error) => told.destroy(error as Error));
    yield* archive.pipe(told);
  } catch (cause) {
    throw new PlyboxError("input/invalid", `the context cannot be read: ${(cause as Error).message}`, {
      field: "context",
      cause,
    });
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
