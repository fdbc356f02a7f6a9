import { FILES, IDENTITY, MEMORY, PROCESSES, SIGNALS, SOCKETS, TIME, WAITING } from "./calls.ts";

const CALLS = [
  ...[FILES, WAITING, MEMORY, PROCESSES, SIGNALS, TIME, IDENTITY, SOCKETS].flat(),
  // `seccomp` installs the filters of commands.
  ...["clone", "ioctl", "seccomp", "socket"],
];

/** What the agent may call, whatever a profile says of commands: files, processes, sockets. */
export const agentCalls = (cgroupVersion: 1 | 2): readonly string[] =>
  // On version 2 a command is started in its cgroup, which saves moving it there.
  cgroupVersion === 2 ? [...CALLS, "clone3"] : CALLS;
