import type { ProbeGroup } from "../probe.ts";
import { inC, inPython, inShell } from "../probe.ts";

const hidden = { proof: ["ENOENT", "NONE", "ENOTDIR"] };

export const DAEMON: ProbeGroup = {
  title: "The daemon",
  probes: [
    inC("daemon-socket", "connect to the daemon's socket", ({ daemon }) => ["unix-socket", daemon.socket], hidden),
    inShell("daemon-token", "read the daemon's token", ({ daemon }) => ["show", daemon.token], hidden),
    inC("daemon-state", "list the daemon's state", ({ daemon }) => ["list", daemon.stateDir], hidden),
    inC("daemon-run", "list the daemon's sockets and mounts", ({ daemon }) => ["list", daemon.runDir], hidden),
    inPython("socket-files", "find a Unix socket that somebody listens on, such as a container runtime's", [], {
      inside: () => ["see-socket-file", "/"],
      outside: ({ daemon }) => ["see-socket-file", daemon.runDir],
      ...hidden,
    }),
    inPython(
      "daemon-directory",
      "find a process that works in the daemon's directory",
      ({ directory }) => {
        return ["see-working-directory", directory];
      },
      hidden,
    ),
  ],
};
