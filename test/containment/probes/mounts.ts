import type { ProbeGroup, ProgramProbe } from "../probe.ts";
import { inC, inPython, inShell } from "../probe.ts";

const full = "ENOSPC";
const TYPES = ["tmpfs", "proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "bpf", "overlay"];
/** What a user namespace of one's own may mount, where nothing denies it. */
const USER_TYPES = ["tmpfs", "proc", "overlay"];
/** Read-only inside, and outside made so in a mount namespace of the control's own. */
const READ_ONLY = "mount --bind -o ro /usr /usr";

const inOwn = (name: string, tries: string, attack: readonly string[], before?: string): ProgramProbe =>
  inC(name, tries, attack, { disposable: true, ...(before !== undefined && { before }) });

export const MOUNTS: ProbeGroup = {
  title: "Mounts",
  probes: [
    ...TYPES.map((type) =>
      inC(`mount-${type}`, `mount a ${type}`, ["mount", type], {
        disposable: true,
        lacks: { ENODEV: `this kernel has no ${type}` },
      }),
    ),
    ...USER_TYPES.map((type) =>
      inC(`user-mount-${type}`, `mount a ${type} in a user namespace of its own`, ["mount-in-user-namespace", type], {
        disposable: true,
        proof: [full],
      }),
    ),
    inShell("mount-command", "mount a tmpfs by its command", ["mount-memory", "/mnt"], { disposable: true }),
    inOwn("bind", "bind /usr over /mnt", ["bind-mount", "/usr", "/mnt"]),
    inOwn("remount-usr", "make /usr writable", ["remount-writable", "/usr"], READ_ONLY),
    inOwn(
      "remount-sysctl",
      "make /proc/sys writable",
      ["remount-writable", "/proc/sys"],
      "mount --bind -o ro /proc/sys /proc/sys",
    ),
    inShell("remount-command", "make /usr writable by its command", ["make-writable", "/usr"], {
      disposable: true,
      before: READ_ONLY,
    }),
    inOwn(
      "unmount-sysctl",
      "take the cover off /proc/sys",
      ["unmount", "/proc/sys"],
      "mount --bind /proc/sys /proc/sys",
    ),
    inOwn(
      "unmount-keys",
      "take the cover off /proc/keys",
      ["unmount", "/proc/keys"],
      "mount --bind /dev/null /proc/keys",
    ),
    inOwn("unmount-usr", "unmount /usr", ["unmount", "/usr"], READ_ONLY),
    inOwn("propagate", "make its mounts peers of the host's", ["share", "/"]),
    inOwn("pivot-root", "change the root of all processes", ["pivot", "/mnt"], "mount -t tmpfs none /mnt"),
    inOwn("mount-api-open", "open a file system by fsopen", ["open-type", "tmpfs"]),
    inOwn("mount-api-pick", "take a file system to change it by fspick", ["pick", "/"]),
    inOwn("mount-api-copy", "copy a mount by open_tree", ["copy-tree", "/usr"]),
    inOwn(
      "mount-api-move",
      "move /proc/sys away by move_mount",
      ["move", "/proc/sys", "/mnt"],
      "mount --bind /proc/sys /proc/sys",
    ),
    inOwn("mount-api-attributes", "make /usr writable by mount_setattr", ["set-attributes", "/usr"], READ_ONLY),
    inPython(
      "mount-table-state",
      "find a path of the daemon's state in the mount table",
      ({ daemon }) => ["see-mount", daemon.stateDir],
      {
        proof: ["NONE"],
        disposable: true,
        before: 'mount --bind "$STATE" "$STATE"',
      },
    ),
  ],
};
