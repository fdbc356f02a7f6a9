import type { ProbeGroup, ProgramProbe } from "../probe.ts";
import { inC, inShell } from "../probe.ts";

const KINDS = ["mnt", "uts", "ipc", "pid", "net", "cgroup", "user", "time"];

/** What sysctl user.max_*_namespaces answers. */
const full = { proof: ["ENOSPC"] };

/** FD_NSFS_ROOT */
const NAMESPACES_FILE_SYSTEM = "-10003";
const NO_HANDLES = "this kernel gives namespaces no handles";

const enters = (name: string, attack: string, kind: string): ProgramProbe =>
  inC(name, `enter the ${kind} namespace of process 1`, [], {
    inside: () => [attack, kind, "1"],
    outside: () => [attack, kind, "child"],
    disposable: true,
  });

export const NAMESPACES: ProbeGroup = {
  title: "Namespaces",
  probes: [
    ...KINDS.map((kind) => inC(`unshare-${kind}`, `leave for a ${kind} namespace of its own`, ["leave", kind], full)),
    inC(
      "unshare-user-cgroup",
      "leave for a cgroup namespace as root of a user namespace",
      ["leave", "user", "cgroup"],
      full,
    ),
    inC("clone-user", "clone into a user namespace of its own", ["clone-into-new", "user"], full),
    inC("clone3-user", "clone into a user namespace of its own by clone3", ["clone3-into-new", "user"], full),
    inC("clone3-mnt", "clone into a mount namespace of its own by clone3", ["clone3-into-new", "mnt"], full),
    inShell("user-root", "become root of a user namespace by unshare", ["become-user-root"], full),
    ...["mnt", "net", "pid", "cgroup"].map((kind) => enters(`setns-${kind}`, "enter", kind)),
    enters("setns-by-pidfd", "enter-by-process", "mnt"),
    inC("namespaces-of-others", "find the mount namespaces of others from its own", ["see-others"], {
      lacks: { ENOTTY: "this kernel does not list mount namespaces" },
    }),
    inC(
      "namespace-by-handle",
      "open the host's network namespace by its handle",
      ({ handles }) => {
        return ["open-by-handle", NAMESPACES_FILE_SYSTEM, handles.network];
      },
      { proof: ["ESTALE"], lacks: { ESTALE: NO_HANDLES, EBADF: NO_HANDLES, EINVAL: NO_HANDLES } },
    ),
    inC("packets-of-own", "send raw packets in a network of its own", ["packets-of-own-network"], full),
    inC("rules-of-own", "change packet filters in a network of its own", ["rules-of-own-network"], full),
    inC("setns-leaked", "enter a mount namespace by a leaked descriptor", ({ file }) => ["enter-by-leak", file], {
      disposable: true,
      before: "exec 9</proc/self/ns/mnt",
      proof: ["NONE"],
    }),
  ],
};
