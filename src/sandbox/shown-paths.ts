import { readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Mount } from "../layers/mount-table.ts";
import { parseMounts } from "../layers/mount-table.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Bind } from "../model/launch-plan.ts";

/** What decides which of the host's paths a sandbox may be shown. */
export interface Surroundings {
  /** Canonical paths of Plybox's own files and directories: what other sandboxes wrote, sockets, the token. */
  readonly own: readonly string[];
  /** The host's mounts, in mount order. */
  readonly mounts: readonly Mount[];
}

/** File systems that show the kernel and its devices rather than files, the host's own and not the sandbox's. */
const KERNEL_TYPES: ReadonlySet<string> = new Set([
  ...["proc", "sysfs", "devtmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "nsfs", "binfmt_misc", "bpf", "configfs"],
  ...["debugfs", "tracefs", "securityfs", "selinuxfs", "smackfs", "pstore", "efivarfs", "fusectl", "rpc_pipefs"],
  ...["resctrl", "functionfs", "nfsd"],
]);

/** What `own` and the host's mount table are at this moment. A path of `own` need not exist. */
export function surroundings(own: readonly string[]): Surroundings {
  return { own: own.map(canonical), mounts: parseMounts(readFileSync("/proc/self/mountinfo", "utf8")) };
}

/**
 * Refuses a bind that would show what no sandbox may see, whoever asks: the kernel's file systems, all of /run with the
 * sockets of the machine's services, and Plybox's own directories.
 * @throws PlyboxError `input/invalid`
 */
export function requireShowable({ source, target }: Bind, { own, mounts }: Surroundings): void {
  const refuse = (path: string, why: string): never => {
    throw new PlyboxError("input/invalid", `${path} cannot be shown in a sandbox: ${why}`, { field: "binds" });
  };
  for (const path of [source, target]) {
    if (path === "/") refuse(path, "name the directories below it");
    if (isKernelPath(path)) refuse(path, "a sandbox has its own");
  }
  const mount = mounts.findLast(({ path }) => isWithin(source, path));
  if (mount !== undefined && KERNEL_TYPES.has(mount.type)) refuse(source, `it is on the kernel's ${mount.type}`);
  if (source === "/run" || source === "/var/run") refuse(source, "it holds the sockets of the machine's services");
  if (own.some((path) => isWithin(source, path))) refuse(source, "it is Plybox's own");
}

/** What below a bind's source is not to be seen, for its `hide`: Plybox's own, and mounts of the kernel's. */
export function hiddenBelow({ source }: Bind, { own, mounts }: Surroundings): readonly string[] {
  const kernel = mounts.filter(({ type }) => KERNEL_TYPES.has(type)).map(({ path }) => path);
  const inside = [...new Set([...own, ...kernel])].filter((path) => path !== source && isWithin(path, source));
  // What is below another hidden place is covered with it.
  const outermost = inside.filter((path) => !inside.some((other) => other !== path && isWithin(path, other)));
  return outermost.map((path) => path.slice(source === "/" ? 0 : source.length)).sort();
}

function isKernelPath(path: string): boolean {
  if (isWithin(path, "/proc") || isWithin(path, "/sys")) return true;
  // Files in memory that programs share are no devices.
  return isWithin(path, "/dev") && !path.startsWith("/dev/shm/");
}

const isWithin = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);

function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === "/" ? path : join(canonical(dirname(path)), basename(path));
  }
}
