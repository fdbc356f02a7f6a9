import type { AutomaticCheckpoints, Lineage } from "./checkpoint.ts";
import type { Grafting } from "./graft.ts";
import type { SandboxId, SandboxName } from "./ids.ts";
import type { Bind } from "./launch-plan.ts";
import type { ReadyProbe } from "./ready-probe.ts";
import type { EndReason, FailureReason, LossReason } from "./reason.ts";
import type { SeccompProfile, SeccompProfileName } from "./seccomp.ts";
import type { StartCommand, StartCommandSpec } from "./start-command.ts";

export interface Limits {
  readonly memoryBytes: number;
  readonly pids: number;
  /** Cores, such as 0.5: no more, also where the others are idle. */
  readonly cpus: number;
  /** Its share of the cores beside other sandboxes that want them as well: 100 is an ordinary one. */
  readonly cpuWeight: number;
  /** Descriptors that one process may have. */
  readonly openFiles: number;
  /** How large one file may be made; null: as large as there is room. */
  readonly fileSizeBytes: number | null;
}

/** Limits that a cgroup holds. */
export type CgroupLimit = Exclude<keyof Limits, "openFiles" | "fileSizeBytes">;

/** The limits that bound something: null where there is no cgroup that would. */
export type HeldLimits = {
  readonly [Limit in keyof Limits]: Limit extends CgroupLimit ? Limits[Limit] | null : Limits[Limit];
};

const MIB = 1024 ** 2;
const TIB = 1024 ** 4;
/** An upper on disk has at most one inode for so many bytes of its size. */
export const BYTES_PER_DISK_INODE = 4096;

/** What a limit may be, both ends included. */
export const LIMIT_BOUNDS = {
  memoryBytes: { min: 4 * MIB, max: TIB },
  pids: { min: 1, max: 4_194_304 },
  cpus: { min: 0.01, max: 1024 },
  cpuWeight: { min: 1, max: 10_000 },
  /** With fewer a shell hardly starts; more the kernel allows nobody. */
  openFiles: { min: 16, max: 1_048_576 },
  fileSizeBytes: { min: 1024, max: TIB },
  /** Of one command: with less a program hardly starts. */
  commandMemoryBytes: { min: MIB, max: TIB },
  /** Of a tmpfs upper. */
  upperBytes: { min: 64 * 1024, max: TIB },
  /** Files, directories and links of a tmpfs upper. */
  upperInodes: { min: 64, max: 4_294_967_296 },
  /** Of an upper on disk: with less there is hardly room beside the file system's own tables. */
  diskBytes: { min: 16 * MIB, max: TIB },
  diskInodes: { min: 64, max: TIB / BYTES_PER_DISK_INODE },
} as const;

/** Of who does not say; the cores are all that the machine has. */
export const DEFAULT_LIMITS: Omit<Limits, "cpus"> = {
  memoryBytes: 1024 * MIB,
  pids: 1024,
  cpuWeight: 100,
  openFiles: 65_536,
  fileSizeBytes: null,
};

/** What labels may be: a key is words of letters and digits joined by `.`, `_`, `-` and `/`. */
export const LABEL_KEY = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
export const LABEL_BOUNDS = { count: 64, valueLength: 256 } as const;

/** What a lifetime or an idle time may be, in milliseconds, both ends included: up to ten years. */
export const TIMEOUT_BOUNDS = { min: 100, max: 315_360_000_000 } as const;

export type Labels = Readonly<Record<string, string>>;

/** What becomes of a sandbox whose time is over. */
export type OnExpire = "destroy" | "stop";

export interface UpperSpec {
  readonly kind: "tmpfs" | "disk";
  /** Size limit; a `disk` upper without one is a directory that may take all the room there is. */
  readonly bytes?: number;
  /**
   * How many files, directories and links it may hold; by default one for 4 KiB of a tmpfs, and for 8 KiB on disk,
   * where it needs `bytes`.
   */
  readonly inodes?: number;
  /** Whether it is copied on write, so that checkpoints and forks of it take no time and share its bytes. */
  readonly snapshots?: boolean;
}

/** An upper that can be checkpointed at any time. */
export const hasSnapshots = (upper: UpperSpec): boolean => upper.snapshots === true;

/** An upper on disk that has a size: a file system of its own, in an image. */
export interface ImageUpper extends UpperSpec {
  readonly kind: "disk";
  readonly bytes: number;
}

export const isImage = (upper: UpperSpec): upper is ImageUpper =>
  upper.kind === "disk" && upper.bytes !== undefined && !hasSnapshots(upper);

/** What a user asks for; every field has a default. */
export interface SandboxSpec {
  /** Whose it is; `default` where nobody says. Never taken from a request's body. */
  readonly tenant?: string;
  readonly name?: SandboxName;
  /** Layer names, bottom first. */
  readonly layers?: readonly string[];
  /** The name, or the id, of a sandbox that was saved in object storage: what it had written is what this begins with. */
  readonly restore?: string;
  readonly upper?: UpperSpec;
  readonly limits?: Partial<Limits>;
  readonly env?: Readonly<Record<string, string>>;
  readonly hostname?: string;
  /** Host paths to show inside. Never taken from the HTTP API. */
  readonly binds?: readonly Bind[];
  readonly labels?: Labels;
  /** Which system calls it may make; `default` by default. */
  readonly seccomp?: SeccompProfileName | SeccompProfile;
  /** Whether setuid programs such as sudo work inside, within its own id range; false by default. */
  readonly allowPrivilegeEscalation?: boolean;
  /** How long it may live, from its creation on; without end by default. */
  readonly lifetimeMs?: number;
  /** How long it may be idle; without end by default. */
  readonly idleMs?: number;
  /** Whether a command that runs keeps it from being idle, also when nobody follows it; false by default. */
  readonly idleCountsCommands?: boolean;
  /** `destroy` by default. */
  readonly onExpire?: OnExpire;
  /** Whether it resumes when something is asked of it while it is paused; false by default. */
  readonly resumeOnDemand?: boolean;
  /** By default the command that its image is made to run; null for none. */
  readonly start?: StartCommandSpec | null;
  readonly readyProbe?: ReadyProbe;
  /** Needs an upper with snapshots; none by default. */
  readonly checkpoints?: AutomaticCheckpoints;
}

export interface Processes {
  /** The host's pid of its PID 1. */
  readonly pid: number;
  /** Field 22 of `/proc/PID/stat`; with the pid it names a process for good. */
  readonly startTime: number;
}

/** Where a sandbox is in its life; data exists only where it is true. */
export type SandboxState =
  | { readonly kind: "creating" }
  /** Once more, on what it wrote before. */
  | { readonly kind: "starting" }
  | ({ readonly kind: "running" } & Processes)
  /** Its processes are frozen. */
  | ({ readonly kind: "paused" } & Processes)
  | ({ readonly kind: "stopping"; readonly reason: EndReason } & Processes)
  /** It has no processes; what it wrote is kept. */
  | { readonly kind: "stopped"; readonly reason: EndReason }
  /** It could not be started again, or its agent was not to be trusted; what it wrote is kept. */
  | { readonly kind: "failed"; readonly reason: FailureReason }
  | { readonly kind: "lost"; readonly reason: LossReason }
  | { readonly kind: "destroyed"; readonly reason: EndReason };

/** A sandbox as the registry holds it and the API shows it. */
export interface Sandbox {
  readonly id: SandboxId;
  readonly tenant: string;
  readonly name: SandboxName | null;
  readonly incarnation: number;
  readonly state: SandboxState;
  /** Layer names, bottom first. */
  readonly layers: readonly string[];
  /** What of its layers may not fit together, as it was known when it was made. */
  readonly warnings: readonly string[];
  /** The incarnation of which object storage has all that was written; null for none. */
  readonly saved: number | null;
  /** Of a layer that is being mounted while the sandbox runs. */
  readonly grafting: Grafting | null;
  readonly upper: UpperSpec;
  /** Null where its upper has no snapshots. */
  readonly lineage: Lineage | null;
  readonly limits: Limits;
  /** Those of its limits that nothing held where it was made: they are defaults, since others are refused then. */
  readonly unheld: readonly CgroupLimit[];
  readonly env: Readonly<Record<string, string>>;
  /** Where commands start that do not say; null for their user's home. */
  readonly cwd: string | null;
  /** Whose commands are that do not say; null for root. */
  readonly user: string | null;
  readonly hostname: string;
  readonly binds: readonly Bind[];
  /** First host id of the sandbox's range of 65,536. */
  readonly idBase: number;
  readonly createdAt: Date;
  readonly seccomp: SeccompProfileName | SeccompProfile;
  readonly allowPrivilegeEscalation: boolean;
  readonly labels: Labels;
  readonly lifetimeMs: number | null;
  /** When its lifetime is over. */
  readonly expiresAt: Date | null;
  readonly idleMs: number | null;
  readonly idleCountsCommands: boolean;
  readonly onExpire: OnExpire;
  readonly resumeOnDemand: boolean;
  readonly start: StartCommand | null;
  readonly readyProbe: ReadyProbe | null;
  /** Whether the probe has succeeded since the last start; null without a probe. */
  readonly ready: boolean | null;
}

export function heldLimits({ limits, unheld }: Pick<Sandbox, "limits" | "unheld">): HeldLimits {
  return { ...limits, ...Object.fromEntries(unheld.map((limit) => [limit, null])) };
}
