import { availableParallelism } from "node:os";
import { throwIfAborted } from "../../base/abort.ts";
import { UndoStack } from "../../base/undo-stack.ts";
import type { LayerLease } from "../../layers/layer-leases.ts";
import type { Checkpoint } from "../../model/checkpoint.ts";
import type { Bind } from "../../model/launch-plan.ts";
import { DEFAULT_TENANT } from "../../model/principal.ts";
import type { Limits, Sandbox, SandboxSpec, UpperSpec } from "../../model/sandbox.ts";
import { DEFAULT_LIMITS } from "../../model/sandbox.ts";
import type { GrownUpper } from "../../snapshots/pools/snapshot-pool.ts";
import { newLineage, requireCheckpointed, requireSnapshots } from "../checkpoints/snapshots.ts";
import { requireHeld, unheldLimits } from "../held-limits.ts";
import { onLayers } from "../image-defaults.ts";
import { DEFAULT_UPPER_BYTES } from "../launch-plan.ts";
import { LiveSandbox } from "../live-sandbox.ts";
import { acquireSaved, requireNoSaves } from "../saves/restoring.ts";
import { requireSavable } from "../saves/saving.ts";
import { requireShowable, surroundings } from "../shown-paths.ts";
import { newStartCommand } from "../start/start-status.ts";
import { makeDisk } from "../uppers/make-disk.ts";
import { requireUpper } from "../uppers/require-upper.ts";
import type { LifecycleContext } from "./context.ts";
import { enter, planFor } from "./context.ts";
import { greet, HALF_MADE, launch, watch } from "./launching.ts";
import type { Identity } from "./next-sandbox.ts";
import { forget, removeDisk, removeUpper } from "./removal.ts";

/** What is written into an upper in memory counts there, and is there for good: the processes must have some left. */
const UPPER_SHARE_OF_MEMORY = 0.75;

/** Asking costs a system call. */
const CORES = availableParallelism();

export interface Base {
  readonly checkpoint: Checkpoint;
  /** Makes an upper of it, where it is only being taken. */
  readonly grow?: ((grown: GrownUpper) => Promise<void>) | undefined;
}

/**
 * Makes a sandbox; resolves when its agent answers. Of one that fails, or is aborted, nothing is left.
 * @param base what it begins with, on whose layers it then stands
 */
export async function createSandbox(
  context: LifecycleContext,
  spec: SandboxSpec,
  signal?: AbortSignal,
  base?: Base,
): Promise<LiveSandbox> {
  try {
    return await makeSandbox(context, spec, signal, base);
  } finally {
    context.next.reserve();
  }
}

async function makeSandbox(
  context: LifecycleContext,
  spec: SandboxSpec,
  signal: AbortSignal | undefined,
  base: Base | undefined,
): Promise<LiveSandbox> {
  throwIfAborted(signal);
  checkBinds(context, spec.binds ?? []);
  requireHeld(context.places.cgroups, spec.limits);
  requireUpper(spec.upper, context.mountsImages);
  requireSnapshots(context, spec);
  requireSavable(context, spec);
  // Reserved before the first await: of two that ask for one name at once, one finds it taken.
  const live = reserve(context, spec, base?.checkpoint);
  await using undo = new UndoStack();
  // What could not be taken away is found again by whoever tries next.
  const orRemember = (work: () => Promise<void>) => (): Promise<void> =>
    work().catch((err) => {
      context.log.warn({ sandbox: live.sandbox.id, err }, "a sandbox that was not made could not be taken away yet");
      if (live.sandbox.state.kind === "creating") enter(context, live, { kind: "destroyed", reason: HALF_MADE });
    });
  undo.push("forget the sandbox", async () => {
    if (live.sandbox.state.kind === "creating") await forget(context, live);
  });
  using filter = context.filters.leaseFor(live.sandbox);
  const lease = await leaseFor(context, spec, base?.checkpoint);
  live.lease = lease;
  const layers = base?.checkpoint.origin.layers ?? lease.layers.map(({ name }) => name);
  live.sandbox = { ...onLayers(live.sandbox, spec, lease.layers), layers, warnings: lease.warnings };
  context.registry.put({ sandbox: live.sandbox, digests: lease.layers.map(({ digest }) => digest) });
  // What is counted of its upper can be told once the pool is there.
  if (live.sandbox.lineage !== null) await requireCheckpointed(context, live.sandbox).pool.open();
  const plan = planFor(context, live.sandbox, lease, await filter.plan());
  if (plan.root.upper.kind !== "tmpfs") {
    undo.push(
      "remove the upper",
      orRemember(() => removeUpper(context, live.sandbox)),
    );
    if (live.sandbox.lineage === null) await makeDisk(live.sandbox.upper, plan.root.upper);
    else await growUpper(context, live.sandbox, base);
  }
  const running = await launch(context, live, plan);
  undo.push(
    "end the sandbox",
    orRemember(async () => running[Symbol.asyncDispose]()),
  );
  // The mount has the file still, which is then gone with it, however this process ends.
  if (context.dieWithLauncher && plan.root.upper.kind === "image") await removeDisk(context, live.sandbox);
  await greet(live, running);
  throwIfAborted(signal);
  const { pid, startTime } = running.process;
  enter(context, live, { kind: "running", pid, startTime });
  undo.move();
  watch(context, live, running);
  return live;
}

async function leaseFor(
  context: LifecycleContext,
  { layers = ["host"], restore, tenant = DEFAULT_TENANT }: SandboxSpec,
  base: Checkpoint | undefined,
): Promise<LayerLease> {
  if (base !== undefined) return await context.layers.adopt(base.digests);
  if (restore !== undefined) return await acquireSaved(context, tenant, restore);
  const lease = await context.layers.acquire(layers);
  await requireNoSaves(lease);
  return lease;
}

function checkBinds({ places }: LifecycleContext, binds: readonly Bind[]): void {
  if (binds.length === 0) return;
  const around = surroundings(places.own);
  for (const bind of binds) requireShowable(bind, around);
}

async function growUpper(context: LifecycleContext, sandbox: Sandbox, base: Base | undefined): Promise<void> {
  const { pool, lineage } = requireCheckpointed(context, sandbox);
  const grown = { upper: { sandbox: sandbox.id, revision: lineage.revision }, bytes: sandbox.upper.bytes };
  if (base === undefined) await pool.makeUpper(grown.upper, grown.bytes);
  else if (base.grow === undefined) await pool.growUpper(grown, base.checkpoint.id);
  else await base.grow(grown);
}

function reserve(
  { live: table, next, admit, agentPatienceMs, places }: LifecycleContext,
  spec: SandboxSpec,
  base: Checkpoint | undefined,
): LiveSandbox {
  if (spec.name !== undefined) table.requireFree(spec.name, spec.tenant ?? DEFAULT_TENANT);
  const lineage = newLineage(spec, base);
  const wanted = { ...newSandbox(spec, next.take(), unheldLimits(places.cgroups)), lineage };
  try {
    admit?.(
      wanted,
      table.all().map(({ sandbox }) => sandbox),
    );
  } catch (error) {
    next.putBack(wanted);
    throw error;
  }
  const live = new LiveSandbox(wanted, agentPatienceMs);
  table.add(live);
  return live;
}

function newSandbox(spec: SandboxSpec, { id, idBase }: Identity, unheld: Sandbox["unheld"]): Sandbox {
  const limits = { ...DEFAULT_LIMITS, cpus: CORES, ...spec.limits };
  const createdAt = new Date();
  const lifetimeMs = spec.lifetimeMs ?? null;
  return {
    id,
    tenant: spec.tenant ?? DEFAULT_TENANT,
    name: spec.name ?? null,
    incarnation: 1,
    state: { kind: "creating" },
    layers: spec.layers ?? ["host"],
    warnings: [],
    grafting: null,
    saved: null,
    upper: newUpper(spec.upper ?? { kind: "tmpfs" }, limits),
    lineage: null,
    limits,
    unheld,
    env: spec.env ?? {},
    cwd: null,
    user: null,
    hostname: spec.hostname ?? spec.name ?? "plybox",
    binds: spec.binds ?? [],
    idBase,
    seccomp: spec.seccomp ?? "default",
    allowPrivilegeEscalation: spec.allowPrivilegeEscalation ?? false,
    createdAt,
    labels: spec.labels ?? {},
    lifetimeMs,
    expiresAt: lifetimeMs === null ? null : new Date(createdAt.getTime() + lifetimeMs),
    idleMs: spec.idleMs ?? null,
    idleCountsCommands: spec.idleCountsCommands ?? false,
    onExpire: spec.onExpire ?? "destroy",
    resumeOnDemand: spec.resumeOnDemand ?? false,
    start: spec.start ? newStartCommand(spec.start) : null,
    readyProbe: spec.readyProbe ?? null,
    ready: spec.readyProbe === undefined ? null : false,
  };
}

function newUpper(upper: UpperSpec, { memoryBytes }: Limits): UpperSpec {
  if (upper.kind === "disk" || upper.bytes !== undefined) return upper;
  const bytes = Math.min(DEFAULT_UPPER_BYTES, Math.floor(memoryBytes * UPPER_SHARE_OF_MEMORY));
  return { ...upper, bytes };
}
