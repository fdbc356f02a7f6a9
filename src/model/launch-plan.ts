import type { SandboxId } from "./ids.ts";

export interface LayerMount {
  readonly path: string;
  /** Whether on-disk ids 0… are presented as the sandbox's range. */
  readonly idmap: boolean;
}

/** What a part of a file system may hold, and the kernel's files, absolute, that tell in digits what counts against it. */
export interface UpperQuota {
  readonly bytes: number;
  /** What has been written. */
  readonly referenced: string;
  /** What is on its way. */
  readonly reserved: string;
}

export type UpperMount =
  | { readonly kind: "tmpfs"; readonly path: string; readonly bytes: number; readonly inodes: number }
  | { readonly kind: "disk"; readonly path: string; readonly quota?: UpperQuota }
  /** `path` is where the file system in the file `image` is mounted. */
  | { readonly kind: "image"; readonly path: string; readonly image: string };

export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** `keep`: ids as they are (nobody inside); `root`: the owner of `source` is root inside. */
  readonly owner: "keep" | "root";
  /** What below `source` is not shown: absolute as if `source` were the root. */
  readonly hide?: readonly string[];
  /** Whether set-user-id bits count; false where nothing is said. */
  readonly setuid?: boolean;
}

export interface CgroupPlan {
  readonly path: string;
  readonly version: 1 | 2;
  /** Control files and what is written to them, in order, before the sandbox joins. */
  readonly set: readonly (readonly [file: string, value: string])[];
  readonly roles: readonly ("track" | "memory")[];
}

/** Absolute paths of files with BPF programs as seccomp(2) takes them. */
export interface SeccompPlan {
  /** Of the agent and everything below it. */
  readonly sandbox: string;
  /** Of commands, beside the other; absent: none. Needs `noNewPrivileges`. */
  readonly commands?: string;
}

export type Namespace = "mount" | "pid" | "network" | "ipc" | "uts" | "cgroup" | "user" | "time";

/** All that a backend needs to start a sandbox, as plain values; docs/protocol.md §7 says what each field means. */
export interface LaunchPlan {
  readonly version: 1;
  readonly id: SandboxId;
  readonly incarnation: number;
  readonly hostname: string;
  readonly root: { readonly layers: readonly LayerMount[]; readonly upper: UpperMount };
  readonly binds: readonly Bind[];
  readonly ids: { readonly base: number; readonly count: number };
  readonly namespaces: readonly Namespace[];
  readonly cgroups: readonly CgroupPlan[];
  readonly resources: {
    /** Descriptors of one process. */
    readonly openFiles: number;
    /** How large a file may be made. */
    readonly fileBytes?: number;
  };
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  /** Whether nothing outside the sandbox's root can be changed (`writes`), or not even read (`all`). */
  readonly landlock: "off" | "writes" | "all";
  /** What /dev/shm may hold. */
  readonly shmBytes: number;
  /** Absent: no filter. */
  readonly seccomp?: SeccompPlan;
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly agent: { readonly socket: string };
  readonly dieWithLauncher: boolean;
  /** Tests only: this step fails with EIO. */
  readonly failAt?: string;
}

/** The part of a plan that does not depend on what the sandbox is made for. */
export type Ground = Pick<LaunchPlan, "ids" | "namespaces" | "cgroups">;
