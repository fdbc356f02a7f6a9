import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { UpperQuota } from "../../model/launch-plan.ts";

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

/** Where the kernel tells what counts against the limit of a group. */
export function groupFiles(groups: string, group: number): Pick<UpperQuota, "referenced" | "reserved"> {
  const directory = join(groups, `1_${group}`);
  return { referenced: join(directory, "referenced"), reserved: join(directory, "rsv_data") };
}

/**
 * What a group has come to, as it counts against its limit: with what is on its way to the disk. Null where there is no
 * such group.
 * @param groups as `groupsOf` has it
 */
export function groupBytes(groups: string, group: number): number | null {
  const { referenced, reserved } = groupFiles(groups, group);
  try {
    return Number(readFileSync(referenced, "utf8")) + Number(readFileSync(reserved, "utf8"));
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
