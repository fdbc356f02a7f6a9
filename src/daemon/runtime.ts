import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { BACKENDS } from "../backends/registry.ts";
import { UndoStack } from "../base/undo-stack.ts";
import type { StandingCheck } from "../layers/catalog.ts";
import type { LayerLog } from "../layers/layer-store.ts";
import { LayerStore } from "../layers/layer-store.ts";
import { readSignaturePolicy } from "../layers/signatures/signature-policy.ts";
import { CAPABILITIES } from "../model/capabilities.ts";
import type { Medium } from "../model/checkpoint.ts";
import type { FaultAt } from "../native/launcher.ts";
import { NativeLauncher } from "../native/launcher.ts";
import { findCgroups, findFreezer, prepareCgroups, releaseCgroups } from "../sandbox/cgroup-layout.ts";
import type { PackingPolicy } from "../sandbox/checkpoints/background-packing.ts";
import type { CheckpointTable } from "../sandbox/checkpoints/checkpoint-table.ts";
import type { Snapshots } from "../sandbox/checkpoints/snapshots.ts";
import type { IdSource } from "../sandbox/id-ranges.ts";
import type { SandboxPlaces } from "../sandbox/launch-plan.ts";
import type { SandboxLog, SandboxServiceOptions } from "../sandbox/lifecycle/context.ts";
import type { Registry } from "../sandbox/registry.ts";
import { SandboxService } from "../sandbox/sandbox-service.ts";
import { SeccompFilters } from "../seccomp/filters.ts";
import { PackedPoints } from "../snapshots/packed/packed-points.ts";
import type { SnapshotPools } from "../snapshots/pools/snapshot-pools.ts";
import { poolDirectories, snapshotPools } from "../snapshots/pools/snapshot-pools.ts";
import type { Config } from "./config.ts";
import type { RemoteLayers } from "./open-remote.ts";
import { openRemote, savesOf } from "./open-remote.ts";
import { weighAnchor } from "./rootless/anchor.ts";
import type { Realm } from "./rootless/realm.ts";

type LayerSettings = Pick<
  Config,
  | "layerBounds"
  | "layerPackings"
  | "snapshotPackings"
  | "layerBudget"
  | "networkEnvironment"
  | "trustedKeys"
  | "requireSignatures"
  | "remote"
>;

const PACK_EVERY_MS = 10_000;

export interface RuntimeOptions {
  /** Of the machine: layers and disk uppers. */
  readonly stateDir: string;
  /** Of this runtime alone: sockets, uppers, mount points, filters. */
  readonly runDir: string;
  /** Where uppers on disk are; with those of the daemon by default. */
  readonly disks?: string;
  /** Paths that no sandbox may be shown: all that belongs to the daemon of this configuration. */
  readonly own: readonly string[];
  readonly layerSettings: LayerSettings;
  /** Of sandboxes that are not this runtime's own. */
  readonly isStoodOn: StandingCheck;
  readonly cgroupParent: string;
  readonly registry: Registry;
  /** Absent where no sandbox can be checkpointed. */
  readonly checkpoints?: CheckpointTable;
  /** What the pools of snapshots may hold; as much as there is where null. */
  readonly poolBytes?: Readonly<Record<Medium, number | null>>;
  /** When old checkpoints are packed; absent for never. */
  readonly packing?: Omit<PackingPolicy, "everyMs"> | null;
  /** Tests only: how often it is looked for such. */
  readonly packEveryMs?: number;
  /** What this process is root of. */
  readonly realm: Realm;
  readonly ids: IdSource;
  /** Everything on the host ends with this process. */
  readonly ephemeral: boolean;
  readonly log: LayerLog & SandboxLog;
  readonly admit?: SandboxServiceOptions["admit"];
  /** Tests only. */
  readonly failAt?: FaultAt;
  /** Tests only: the program that takes the agent's place, and how long it may take to answer. */
  readonly agentProgram?: string;
  readonly agentPatienceMs?: number;
  /** Tests only: how soon an end that failed is tried again. */
  readonly retryMs?: number;
}

/** The parts that run sandboxes, put together; under the daemon as under a one-shot run. */
export interface Runtime {
  readonly sandboxes: SandboxService;
  readonly layers: LayerStore;
  readonly remote: RemoteLayers;
  readonly launcher: NativeLauncher;
  readonly places: SandboxPlaces;
  /** Absent where no sandbox can be checkpointed. */
  readonly pools: SnapshotPools | undefined;
  /** Lets go of what this process holds, newest first. */
  close(): Promise<void>;
}

/** The name of the cgroup that a runtime's sandboxes are below: two runtimes never share one. */
export function cgroupParentOf(runDir: string): string {
  if (runDir === "/run/plybox") return "plybox";
  return `plybox-${createHash("sha256").update(runDir).digest("hex").slice(0, 12)}`;
}

/** The mount table as far as this process may make cgroups: in a namespace, they are the machine's and not its own. */
export function cgroupMounts(realm: Realm): string {
  return realm.kind === "machine" ? readFileSync("/proc/mounts", "utf8") : "";
}

/** @throws PlyboxError `host/missing` when the native programs are not built */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { stateDir, runDir, realm, cgroupParent, registry, ids, ephemeral, log, failAt } = options;
  const { layerSettings: settings } = options;
  const signatures = await readSignaturePolicy(settings.trustedKeys, settings.requireSignatures);
  await using undo = new UndoStack();
  undo.push("let go of the namespaces", () => {
    if (realm.kind === "namespace" && !ephemeral && registry.all().length === 0) weighAnchor(runDir);
  });
  const machine = cgroupMounts(realm);
  const places = {
    sockets: join(runDir, "s"),
    uppers: join(runDir, "uppers"),
    disks: options.disks ?? join(stateDir, "uppers"),
    pools: poolDirectories(runDir),
    own: [stateDir, runDir, ...options.own],
    cgroups: findCgroups(machine),
    cgroupParent,
  };
  const freezer = findFreezer(machine, places.cgroups, cgroupParent);
  const mounts = join(runDir, "layers");
  for (const directory of [stateDir, runDir, mounts, places.sockets, places.uppers, places.disks]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }
  prepareCgroups(places.cgroups, cgroupParent);
  undo.push("remove the cgroup of all", () => releaseCgroups(places.cgroups, cgroupParent, freezer));
  const launcher = launcherOf(options);
  undo.push("end the launcher", () => launcher.close());
  const starting = launcher.start();
  const layers = new LayerStore({
    storeDirectory: join(stateDir, "layers"),
    bounds: settings.layerBounds,
    packings: settings.layerPackings,
    budgetBytes: settings.layerBudget,
    environment: settings.networkEnvironment,
    isStoodOn: options.isStoodOn,
    mountDirectory: mounts,
    mounter: launcher,
    signatures,
    unpack: realm.kind === "namespace",
    log,
  });
  const remote = openRemote(settings.remote, layers);
  undo.push("unmount idle layers", () => layers.unmountIdle());
  const filters = openFilters(join(runDir, "filters"), places);
  const snapshots = openSnapshots(options, launcher, undo);
  const saves = ephemeral ? undefined : savesOf(settings.remote, remote, realm);
  const sandboxes = new SandboxService({
    backend: BACKENDS.native(launcher, freezer),
    ...{ layers, filters, registry, ids, places, log, dieWithLauncher: ephemeral },
    ...{ mountsImages: realm.kind === "machine", packings: settings.snapshotPackings },
    ...(snapshots && { snapshots }),
    ...(options.packing && { packing: { ...options.packing, everyMs: options.packEveryMs ?? PACK_EVERY_MS } }),
    ...(saves && { saves }),
    ...(options.admit && { admit: options.admit }),
    ...(options.retryMs !== undefined && { retryMs: options.retryMs }),
    ...(options.agentPatienceMs !== undefined && { agentPatienceMs: options.agentPatienceMs }),
    ...(failAt !== undefined && { failAt }),
  });
  undo.push("let go of the sandboxes", () => sandboxes.close());
  await starting;
  const held = undo.move();
  const pools = snapshots?.pools;
  return { sandboxes, layers, remote, launcher, places, pools, close: () => held[Symbol.asyncDispose]() };
}

function openFilters(directory: string, { cgroups }: SandboxPlaces): SeccompFilters {
  // Of what an earlier process wrote, a loss of power may have left a part; and nobody would ever remove it.
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { mode: 0o700 });
  const capabilities = new Set(CAPABILITIES);
  const host = { arch: process.arch, kernel: release(), capabilities, cgroupVersion: cgroups.version };
  const filters = new SeccompFilters(host, directory);
  void filters.warmUp();
  return filters;
}

const launcherOf = ({ ephemeral, realm, failAt, agentProgram }: RuntimeOptions): NativeLauncher =>
  new NativeLauncher({
    private: ephemeral,
    rootless: realm.kind === "namespace",
    ...(failAt !== undefined && { failAt }),
    ...(agentProgram !== undefined && { agentProgram }),
  });

/** Pools are mounted on the host by the machine's root, and outlive this process as their sandboxes do. */
function openSnapshots(
  { checkpoints, poolBytes, realm, stateDir, runDir }: RuntimeOptions,
  launcher: NativeLauncher,
  undo: UndoStack,
): Snapshots | undefined {
  if (checkpoints === undefined || realm.kind !== "machine") return undefined;
  const bytes = poolBytes ?? { memory: null, disk: null };
  const pools = snapshotPools({ stateDir, runDir, launcher, bytes });
  for (const pool of [pools.memory, pools.disk]) undo.push("close an empty pool", () => pool.closeIfEmpty());
  const packedOf = (medium: Medium) => new PackedPoints(pools[medium], join(stateDir, "snapshots", "packed", medium));
  return { table: checkpoints, pools, packed: { memory: packedOf("memory"), disk: packedOf("disk") } };
}
