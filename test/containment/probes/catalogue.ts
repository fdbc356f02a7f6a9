import type { ProbeGroup } from "../probe.ts";
import { CGROUPS } from "./cgroups.ts";
import { DAEMON } from "./daemon.ts";
import { DEVICES } from "./devices.ts";
import { FILES } from "./files.ts";
import { IPC } from "./ipc.ts";
import { KERNEL } from "./kernel.ts";
import { MOUNTS } from "./mounts.ts";
import { NAMESPACES } from "./namespaces.ts";
import { NETWORK } from "./network.ts";
import { OUTSIDE } from "./outside.ts";
import { PROCESSES } from "./processes.ts";
import { SETTINGS } from "./settings.ts";
import { SYSCALLS } from "./syscalls.ts";

export const CATALOGUE: readonly ProbeGroup[] = [
  ...[KERNEL, SETTINGS, DEVICES, SYSCALLS, PROCESSES, NAMESPACES],
  ...[MOUNTS, CGROUPS, NETWORK, IPC, FILES, DAEMON, OUTSIDE],
];

/** Those of which most are refused by the filter of system calls first. */
export const BY_CALL: readonly ProbeGroup[] = [KERNEL, SYSCALLS, NAMESPACES, MOUNTS];
