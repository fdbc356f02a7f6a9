import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";

/** Removes a cgroup and those below it. Answers whether it is gone: one with processes that have not ended stays. */
export function removeCgroupTree(path: string): boolean {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    for (const entry of entries) if (entry.isDirectory()) removeCgroupTree(join(path, entry.name));
    rmdirSync(path);
    return true;
  } catch {
    return !existsSync(path);
  }
}
