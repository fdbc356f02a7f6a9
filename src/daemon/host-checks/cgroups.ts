import { accessSync, constants } from "node:fs";
import type { Check, Host } from "./check.ts";
import { missing, ok, warn } from "./check.ts";
import { readText } from "./read-text.ts";

interface CgroupMount {
  readonly path: string;
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
}

const controllerCheck = (controller: string, use: string, required: boolean): Check => ({
  name: `cgroup ${controller}`,
  required,
  examine(host) {
    const mount = cgroupMounts(host).find(({ controllers }) => controllers.includes(controller));
    if (mount === undefined) {
      return missing(`no such controller; it ${use}`, "mount -t cgroup2 none /sys/fs/cgroup, or boot with all of them");
    }
    // A user has none on version 1, and those that version 2 delegates are not used yet.
    if (host.uid !== 0)
      return warn(`rootless has none: ${controller} goes unlimited, and a limit asked for is refused`);
    const where = `v${mount.version}, ${mount.path}`;
    try {
      accessSync(mount.path, constants.W_OK);
      return ok(`${where}; it ${use}`);
    } catch {
      return missing(`${where} is not writable`, `mount -o remount,rw ${mount.path}`);
    }
  },
});

export const CGROUP_CHECKS: readonly Check[] = [
  controllerCheck("memory", "limits memory", true),
  controllerCheck("pids", "limits processes", true),
  controllerCheck("cpu", "limits cores", true),
];

/** Every cgroup hierarchy, version 2 first: where a controller is in both, that is the one to use. */
function cgroupMounts({ proc }: Host): readonly CgroupMount[] {
  const mounts = (readText(`${proc}/self/mounts`) ?? "").split("\n").flatMap((line): CgroupMount[] => {
    const [, path = "", type, options = ""] = line.split(" ");
    if (type === "cgroup2") {
      const controllers = readText(`${path}/cgroup.controllers`)?.trim().split(/\s+/) ?? [];
      return [{ path, version: 2, controllers }];
    }
    return type === "cgroup" ? [{ path, version: 1, controllers: options.split(",") }] : [];
  });
  return mounts.sort((a, b) => b.version - a.version);
}
