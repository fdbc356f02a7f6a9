import type { SandboxId, SandboxName } from "./ids.ts";
import type { HeldLimits } from "./sandbox.ts";

/** Time that tasks stood still for want of something: `some` of them, or all of them at once (`full`). */
export interface Stall {
  readonly someMs: number;
  readonly fullMs: number;
  /** Percent of the last ten seconds. */
  readonly someAvg10: number;
  readonly fullAvg10: number;
}

/** What a sandbox takes from the machine. Null: this kernel, or this kind of sandbox, does not tell. */
export interface Usage {
  /** Processor time of all its processes since it started, those that have ended included. */
  readonly cpuMs: number | null;
  /** Processes, page cache and the tmpfs upper: what `limits.memoryBytes` bounds. */
  readonly memoryBytes: number | null;
  readonly memoryPeakBytes: number | null;
  /** Processes and threads. */
  readonly pids: number | null;
  /** Processes that the kernel has killed because the memory limit was reached. */
  readonly oomKills: number | null;
  /** What the writable layer holds; a backend does not know it of a directory on disk. */
  readonly upperBytes: number | null;
  /** Of all interfaces but loopback, since it started; null where there is none. */
  readonly network: { readonly receivedBytes: number; readonly sentBytes: number } | null;
  readonly pressure: { readonly cpu: Stall; readonly memory: Stall; readonly io: Stall } | null;
}

/** The usage of one sandbox at one time. */
export interface UsageSample extends Usage {
  readonly sandbox: SandboxId;
  readonly tenant: string;
  readonly name: SandboxName | null;
  readonly at: Date;
  /** When `upperBytes` was counted: earlier than `at` for a directory on disk; null where that is null. */
  readonly upperMeasuredAt: Date | null;
  /** Cores in use since the sample before; null for the first of a series. */
  readonly cores: number | null;
  readonly limits: Pick<HeldLimits, "memoryBytes" | "pids" | "cpus"> & { readonly upperBytes: number | null };
}

/** One process of a sandbox, as it is seen inside. */
export interface ProcessView {
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  /** The name that the sandbox's own /etc/passwd gives the uid, or its digits. */
  readonly user: string;
  /** As in /proc: `R`, `S`, `D`, `T`, `Z` … */
  readonly state: string;
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly threads: number;
  /** The command line, at most 1,024 characters; the program's name in brackets where it has none. */
  readonly command: string;
}

export interface ProcessesView {
  readonly processes: readonly ProcessView[];
  /** How many there are; more than are listed where they do not fit into one answer. */
  readonly total: number;
}
