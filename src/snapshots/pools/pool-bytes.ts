import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const SYSFS = "/sys/fs/btrfs";

/** Where the kernel tells of the groups of the btrfs that is mounted at a path; undefined where none is. */
export function groupsOf(path: string): string | undefined {
  const shown = path.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
  const line = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .findLast((each) => each.split(" ", 5)[4] === shown);
  const source = / - btrfs (\S+) /.exec(line ?? "")?.[1];
  if (source === undefined) return undefined;
  const pool = namesIn(SYSFS).find((id) => namesIn(join(SYSFS, id, "devices")).includes(basename(source)));
  return pool && join(SYSFS, pool, "qgroups");
}

/**
 * What a group has come to, as it counts against its limit: with what is on its way to the disk. Null where there is no
 * such group.
 * @param groups as `groupsOf` has it
 */
export function groupBytes(groups: string, group: number): number | null {
  const figure = (name: string): number => Number(readFileSync(join(groups, `1_${group}`, name), "utf8"));
  try {
    return figure("referenced") + figure("rsv_data");
  } catch {
    return null;
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
