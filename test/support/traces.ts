import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

/** Words of the command line of every process of this machine that can be seen, by pid. */
function commandLines(): ReadonlyMap<number, string> {
  const lines = new Map<number, string>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      lines.set(Number(name), readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " "));
    } catch {
      // It ended since.
    }
  }
  return lines;
}

/** Pids of the processes whose command line has this text. */
export const processesWith = (text: string): readonly number[] =>
  [...commandLines()].filter(([, line]) => line.includes(text)).map(([pid]) => pid);

/** Mount points of this machine whose line has this text. */
export const mountsWith = (text: string): readonly string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(text));

/**
 * Files below `directory` that loop devices of this machine show. One that is unmounted may be among them for a moment:
 * the kernel frees it when the last that looks at it, such as somebody's losetup, has closed it.
 */
export const loopsWith = (directory: string): readonly string[] =>
  readdirSync("/sys/block").flatMap((name) => {
    try {
      const file = readFileSync(join("/sys/block", name, "loop/backing_file"), "utf8").trimEnd();
      return file.startsWith(`${directory}/`) ? [file] : [];
    } catch {
      return []; // It is no loop device, or shows nothing.
    }
  });

/** Resolves when none shows a file below `directory` any more; for hooks, where nothing can be polled. */
export async function loopsGone(directory: string): Promise<void> {
  while (loopsWith(directory).length > 0) await setTimeout(10);
}

/** Cgroups below every hierarchy whose name has this text. */
export function cgroupsWith(text: string): readonly string[] {
  const roots = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, , type]) => type === "cgroup" || type === "cgroup2")
    .map(([, path = ""]) => path);
  return [...new Set(roots)].flatMap((root) => below(root)).filter((path) => path.includes(text));
}

function below(directory: string): string[] {
  try {
    const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return folders.flatMap(({ name }) => [join(directory, name), ...below(join(directory, name))]);
  } catch {
    return []; // It went since.
  }
}
