import { lstatSync, realpathSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { PlyboxError } from "../../model/errors.ts";
import type { Bind } from "../../model/launch-plan.ts";

/** Host paths that a command may see, as given to `--allow-read` and `--allow-write`. */
export interface AllowedPaths {
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/**
 * The binds that show `allowed` at the same paths inside, outer directories first: a path below another keeps its own
 * access, whichever was named first. A symbolic link shows what it points at.
 * @throws PlyboxError `input/invalid` for a missing path, `/`, and one path given both ways
 */
export function bindsFor(allowed: AllowedPaths, cwd: string): Bind[] {
  const binds = new Map<string, Bind>();
  const all = [
    ...allowed.read.map((path) => [path, "--allow-read"] as const),
    ...allowed.write.map((path) => [path, "--allow-write"] as const),
  ];
  for (const [path, option] of all) {
    const bind = toBind(path, option, cwd);
    const before = binds.get(bind.target);
    if (before !== undefined && before.readOnly !== bind.readOnly) {
      throw new PlyboxError("input/invalid", `${bind.target} is given to both --allow-read and --allow-write`, {
        field: option,
      });
    }
    binds.set(bind.target, bind);
  }
  return [...binds.values()].sort((a, b) => depth(a.target) - depth(b.target));
}

/** Whether `path` is one of the binds' targets or below one. */
export function isShown(path: string, binds: readonly Bind[]): boolean {
  return binds.some((bind) => {
    const below = relative(bind.target, path);
    return !isAbsolute(below) && below !== ".." && !below.startsWith("../");
  });
}

function toBind(path: string, option: string, cwd: string): Bind {
  const target = resolve(cwd, path);
  if (target === "/") {
    throw new PlyboxError("input/invalid", "/ cannot be shown whole; name the directories below it", { field: option });
  }
  return { source: realPath(target, option), target, readOnly: option === "--allow-read", owner: "root" };
}

function realPath(target: string, option: string): string {
  try {
    const source = realpathSync(target);
    const kind = lstatSync(source);
    if (kind.isDirectory() || kind.isFile()) return source;
    throw new PlyboxError("input/invalid", `${target} is neither a file nor a directory`, { field: option });
  } catch (error) {
    if (error instanceof PlyboxError) throw error;
    const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "does not exist" : "cannot be read";
    throw new PlyboxError("input/invalid", `${target} ${reason}`, { field: option, cause: error });
  }
}

const depth = (path: string): number => path.split("/").length;
