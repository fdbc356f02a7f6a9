import { readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";

/** Removes a cgroup and those below it, as far as they hold no processes; one that is gone counts as removed. */
export function removeCgroupTree(path: string): void {
  let names: string[];
  try {
    names = readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return;
  }
  for (const name of names) removeCgroupTree(join(path, name));
  try {
    rmdirSync(path);
  } catch {
    // A process in it has not ended; the next sweep finds it again.
  }
}
