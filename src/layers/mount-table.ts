import { readFile } from "node:fs/promises";

/** What a mount's path in /proc/self/mountinfo looks like: space, tab, newline and backslash are octal. */
const decode = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** The mount points of a mountinfo text, in mount order; a path that is mounted over appears once a mount. */
export function parseMountPoints(mountinfo: string): string[] {
  const points: string[] = [];
  for (const line of mountinfo.split("\n")) {
    const point = line.split(" ", 5)[4];
    if (point !== undefined) points.push(decode(point));
  }
  return points;
}

/** The mount points that this process sees. */
export const readMountPoints = async (): Promise<string[]> =>
  parseMountPoints(await readFile("/proc/self/mountinfo", "utf8"));
