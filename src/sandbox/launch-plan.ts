import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Traces } from "../backends/backend.ts";
import type { LayerLease } from "../layers/layer-leases.ts";
import { CAPABILITIES } from "../model/capabilities.ts";
import type { Medium } from "../model/checkpoint.ts";
import type { SandboxId } from "../model/ids.ts";
import type { Bind, Ground, LaunchPlan, SeccompPlan, UpperMount, UpperQuota } from "../model/launch-plan.ts";
import type { Sandbox, UpperSpec } from "../model/sandbox.ts";
import { isImage } from "../model/sandbox.ts";
import { upperIn } from "../snapshots/pools/snapshot-pool.ts";
import type { CgroupLayout, CgroupLimits } from "./cgroup-layout.ts";
import { cgroupPathsOf, planCgroups } from "./cgroup-layout.ts";
import { RANGE_SIZE } from "./id-ranges.ts";
import { hiddenBelow, surroundings } from "./shown-paths.ts";

/** Where a runtime keeps what its sandboxes have on the host: absolute directories, and the parent of their cgroups. */
export interface SandboxPlaces {
  /** The agents' sockets. */
  readonly sockets: string;
  /** Uppers in memory. */
  readonly uppers: string;
  /** Uppers on disk. */
  readonly disks: string;
  /** Where the pools of uppers with snapshots are mounted. */
  readonly pools: Readonly<Record<Medium, string>>;
  /** Paths of Plybox's own that no sandbox may be shown, also those of other runtimes on the same directories. */
  readonly own: readonly string[];
  readonly cgroups: CgroupLayout;
  /** Relative to each hierarchy's root, such as `plybox`. */
  readonly cgroupParent: string;
}

/** One inode for so many bytes of a tmpfs: an empty file costs memory that its size does not count. */
const BYTES_PER_INODE = 4096;
export const DEFAULT_UPPER_BYTES = 1024 ** 3;
/** The least that an upper may hold by default, whatever its size. */
const LEAST_INODES = 1024;

/** The directory that is the upper of a sandbox, or that it is mounted on. */
export function upperPath({ id, upper, lineage }: Sandbox, places: SandboxPlaces): string {
  if (lineage !== null) return upperIn(places.pools[mediumOf(upper)], { sandbox: id, revision: lineage.revision });
  return join(upper.kind === "tmpfs" || isImage(upper) ? places.uppers : places.disks, id);
}

/** The pool that an upper with snapshots is in. */
export const mediumOf = ({ kind }: UpperSpec): Medium => (kind === "tmpfs" ? "memory" : "disk");

/** What of a sandbox's upper is on disk: an image, or a directory; undefined where it is in memory or in a pool. */
export function diskPath({ id, upper, lineage }: Sandbox, places: SandboxPlaces): string | undefined {
  if (upper.kind === "tmpfs" || lineage !== null) return undefined;
  return join(places.disks, isImage(upper) ? `${id}.ext4` : id);
}

/** Whether what the sandbox wrote is still there: what is in memory goes with the machine, or the user's namespace. */
export function hasUpper(sandbox: Sandbox, places: SandboxPlaces): boolean {
  return existsSync(diskPath(sandbox, places) ?? join(upperPath(sandbox, places), "upper"));
}

/** What a sandbox of which nothing is known but its id may have on the host; what is on disk is not among it. */
export function tracesOf(id: SandboxId, places: SandboxPlaces): Traces {
  return {
    id,
    cgroups: cgroupPathsOf(places.cgroups, places.cgroupParent, id).map((path) => ({ path })),
    root: { upper: { kind: "tmpfs", path: join(places.uppers, id) } },
    agent: { socket: socketPath(id, places) },
  };
}

function socketPath(id: SandboxId, places: SandboxPlaces): string {
  return join(places.sockets, `${id}.sock`);
}

/** What of a sandbox's plan is known before anybody has asked for it; then it has no limits yet. */
export function planGround(
  { id, idBase, limits }: Pick<Sandbox, "id" | "idBase"> & { readonly limits?: CgroupLimits },
  { cgroups, cgroupParent }: SandboxPlaces,
  idCount: number = RANGE_SIZE,
): Ground {
  return {
    ids: { base: idBase, count: idCount },
    namespaces: ["mount", "pid", "network", "ipc", "uts", "cgroup", "user"],
    cgroups: planCgroups(cgroups, cgroupParent, id, limits),
  };
}

/** All that a backend needs to start this sandbox; the same values give the same plan after a restart. */
export function planLaunch(
  sandbox: Sandbox,
  lease: Pick<LayerLease, "mounts" | "binds">,
  places: SandboxPlaces,
  options: {
    readonly dieWithLauncher: boolean;
    readonly idCount?: number;
    readonly failAt?: string | undefined;
    readonly seccomp?: SeccompPlan | undefined;
    readonly quota?: UpperQuota | undefined;
  },
): LaunchPlan {
  const { id, incarnation, hostname, limits, env } = sandbox;
  return {
    version: 1,
    id,
    incarnation,
    hostname,
    root: { layers: lease.mounts, upper: planUpper(sandbox, places, options.quota) },
    binds: [...planSystemBinds(lease.binds, sandbox), ...planBinds(sandbox.binds, places)],
    ...planGround(sandbox, places, options.idCount),
    resources: {
      openFiles: limits.openFiles,
      ...(limits.fileSizeBytes !== null && { fileBytes: limits.fileSizeBytes }),
    },
    capabilities: CAPABILITIES,
    // Looking at reads too makes each open slower; what is shown of the host is worth it.
    landlock: sandbox.binds.length > 0 ? "all" : "writes",
    // As of a machine: half of its memory.
    shmBytes: Math.max(65_536, Math.floor(limits.memoryBytes / 2)),
    noNewPrivileges: !sandbox.allowPrivilegeEscalation,
    ...(options.seccomp !== undefined && { seccomp: options.seccomp }),
    files: [
      { path: "/etc/hostname", content: `${hostname}\n` },
      { path: "/etc/hosts", content: `127.0.0.1 localhost ${hostname}\n::1 localhost ${hostname}\n` },
      // There is nobody to ask: the network is the loopback interface alone.
      { path: "/etc/resolv.conf", content: "" },
    ],
    environment: env,
    agent: { socket: socketPath(id, places) },
    dieWithLauncher: options.dieWithLauncher,
    ...(options.failAt !== undefined && { failAt: options.failAt }),
  };
}

/** The machine's own programs; its root is the sandbox's where set-user-id programs are to work. */
function planSystemBinds(binds: readonly Bind[], { allowPrivilegeEscalation }: Sandbox): readonly Bind[] {
  if (!allowPrivilegeEscalation) return binds;
  return binds.map((bind) => ({ ...bind, owner: "root", setuid: true }));
}

function planBinds(binds: readonly Bind[], { own }: SandboxPlaces): readonly Bind[] {
  if (binds.length === 0) return binds;
  const around = surroundings(own);
  return binds.map((bind) => {
    const hide = hiddenBelow(bind, around);
    return hide.length === 0 ? bind : { ...bind, hide };
  });
}

function planUpper(sandbox: Sandbox, places: SandboxPlaces, quota: UpperQuota | undefined): UpperMount {
  const path = upperPath(sandbox, places);
  if (sandbox.lineage !== null) return { kind: "disk", path, ...(quota && { quota }) };
  const image = diskPath(sandbox, places);
  if (image !== undefined) return isImage(sandbox.upper) ? { kind: "image", path, image } : { kind: "disk", path };
  const { bytes = DEFAULT_UPPER_BYTES, inodes = Math.max(LEAST_INODES, Math.floor(bytes / BYTES_PER_INODE)) } =
    sandbox.upper;
  return { kind: "tmpfs", path, bytes, inodes };
}
