import { readFile } from "node:fs/promises";
import { join } from "node:path";
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
 * A directory of this machine as an archive. What is left out is not read, nor is what is below it.
 * @param own a directory of Plybox's own, in which the archive itself may be kept: it is left out, too
 * @throws PlyboxError `input/invalid`
 */
export async function* archiveDirectory(directory: string, ignore: string, own: string): AsyncGenerator<Buffer> {
  const ignored = ignoredPaths(ignore);
  const filter = (name: string, stats: { isDirectory?(): boolean }): boolean => {
    const path = name.replace(/^\.\/+/, "");
    if (path === "." || path === "") return true;
    if (join(directory, path) === own) return false;
    return stats.isDirectory?.() === true ? !ignored.hasAllBelow(path) : !ignored.has(path);
  };
  try {
    yield* create({ cwd: directory, filter: filter as Parameters<typeof create>[0]["filter"] & {}, strict: true }, [
      ".",
    ]);
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
