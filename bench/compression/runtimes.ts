import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

export interface RuntimeTree {
  readonly directory: string;
  /** Bytes of its files. */
  readonly bytes: number;
  readonly files: number;
}

/** A command that runs a program out of a tree at `root`. */
export interface FirstExec {
  readonly name: "python" | "node";
  readonly command: (root: string) => readonly string[];
  readonly env: (root: string) => NodeJS.ProcessEnv;
}

export const FIRST_EXECS: readonly FirstExec[] = [
  {
    name: "python",
    command: (root) => [join(root, "python/bin/python3"), "-c", "import json, ssl, urllib.request"],
    env: (root) => ({ PYTHONHOME: join(root, "python"), PYTHONDONTWRITEBYTECODE: "1" }),
  },
  { name: "node", command: (root) => [join(root, "node/bin/node"), "-e", "0"], env: () => ({}) },
];

/** Copies this machine's Python, with its library, and Node, with npm, into `directory`. Times stay: bytecode is held against them. */
export function copyRuntimes(directory: string): RuntimeTree {
  const python = realpathSync("/usr/bin/python3");
  const library = join("/usr/lib", python.slice(python.lastIndexOf("/") + 1));
  const npm = join(dirname(realpathSync(process.execPath)), "../lib/node_modules");
  mkdirSync(join(directory, "python/bin"), { recursive: true });
  mkdirSync(join(directory, "node/bin"), { recursive: true });
  cpSync(python, join(directory, "python/bin/python3"));
  cpSync(library, join(directory, "python/lib", library.slice("/usr/lib/".length)), {
    recursive: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
  });
  cpSync(realpathSync(process.execPath), join(directory, "node/bin/node"));
  if (existsSync(npm))
    cpSync(npm, join(directory, "node/lib/node_modules"), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
  execFileSync("sync", ["-f", directory]);
  const files = filesOf(directory);
  return { directory, files: files.length, bytes: files.reduce((sum, file) => sum + statSync(file).size, 0) };
}

/** Every regular file below a directory. */
export const filesOf = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
