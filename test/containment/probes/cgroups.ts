import type { ProbeGroup } from "../probe.ts";
import { inC, inShell } from "../probe.ts";

export const CGROUPS: ProbeGroup = {
  title: "Control groups",
  probes: [
    inShell("release-agent", "have the host run a program by a cgroup's release agent", ["release-agent"], {
      disposable: true,
    }),
    inShell(
      "release-agent-user",
      "mount a cgroup file system as root of a user namespace",
      ["release-agent-as-user-root"],
      {
        disposable: true,
        proof: ["ENOSPC"],
      },
    ),
    inShell("cgroup-leave", "find a cgroup to move to", ["leave-cgroup", "/sys/fs/cgroup"], { proof: ["ENOENT"] }),
    inC("cgroup-list", "list cgroups", ["list", "/sys/fs/cgroup"], {
      proof: ["EMPTY", "ENOENT"],
      lacks: { EMPTY: "no cgroups are mounted on this machine", ENOENT: "this kernel has no cgroups" },
    }),
  ],
};
