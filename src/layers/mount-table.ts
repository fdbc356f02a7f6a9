import { readFile } from "node:fs/promises";

/** What a mount's path in /proc/self/mountinfo looks like: space, tab, newline and backslash are octal. */
const decode = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

export interface Mount {
  readonly path: string;
  /** Of the file system, such as `ext4`. */
  readonly type: string;
}

/** The mounts of a mountinfo text, in mount order; a path that is mounted over appears once a mount. */
export function parseMounts(mountinfo: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of mountinfo.split("\n")) {
    const path = line.split(" ", 5)[4];
    // Optional fields lie between the two, and a single dash ends them.
    const type = / - (\S+) /.exec(line)?.[1];
    if (path !== undefined && type !== undefined) mounts.push({ path: decode(path), type });
  }
  return mounts;
}

export const parseMountPoints = (mountinfo: string): string[] => parseMounts(mountinfo).map(({ path }) => path);

/** The mount points that this process sees. */
export const readMountPoints = async (): Promise<string[]> =>
  parseMountPoints(await readFile("/proc/self/mountinfo", "utf8"));
