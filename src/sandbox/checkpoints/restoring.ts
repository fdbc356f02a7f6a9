import type { LayerLease } from "../../layers/layer-leases.ts";
import type { Checkpoint, Lineage } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { CheckpointId } from "../../model/ids.ts";
import { upperIn } from "../../snapshots/pools/snapshot-pool.ts";
import { release, restack } from "../composition/restacking.ts";
import { mediumOf } from "../launch-plan.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { save } from "../lifecycle/context.ts";
import { endProcesses, startSandbox } from "../lifecycle/stopping.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireState } from "../transitions.ts";
import { ancestry, pointsOf, requireCheckpointed, requireKept } from "./snapshots.ts";
import { takeCheckpoint } from "./taking.ts";

export interface Restoration {
  /** Where the sandbox is now. */
  readonly checkpoint: Checkpoint;
  /** What it held before; null where that was a checkpoint already. */
  readonly before: CheckpointId | null;
  /** Whether its commands were ended, and it was started again. */
  readonly restarted: boolean;
}

/** @throws PlyboxError as whatever is asked of a sandbox in a state that is not for it */
export const requireRestorable = ({ sandbox }: LiveSandbox) =>
  requireState("restore", sandbox.state, "running", "paused", "stopped", "failed");

/**
 * Gives a sandbox an upper that holds what a checkpoint holds, and the layers that it was written on. One that runs is
 * stopped, which ends its commands, and started again. To be called exclusively.
 * @throws PlyboxError `checkpoint/unfit`, `checkpoint/lost`, and as a stop and a start do
 */
export async function restoreSandbox(
  context: LifecycleContext,
  live: LiveSandbox,
  checkpoint: Checkpoint,
): Promise<Restoration> {
  const { lineage } = requireCheckpointed(context, live.sandbox);
  const { kind } = requireRestorable(live);
  requireKept(checkpoint);
  const lease = await leaseFor(context, live, checkpoint);
  try {
    const before = lineage.changed ? await takeCheckpoint(context, live, { cause: { type: "restore" } }) : null;
    const isLive = kind === "running" || kind === "paused";
    if (isLive) await endProcesses(context, live, { type: "asked" });
    const merged = checkpoint.origin.lineage?.merged ?? [];
    await replaceUpper(context, live, { checkpoint, changed: false, merged, lease });
    if (isLive) await startSandbox(context, live);
    return { checkpoint, before: before?.checkpoint.id ?? null, restarted: isLive };
  } finally {
    if (lease !== undefined && live.lease !== lease) await release(context, live, lease);
  }
}

/**
 * The layers that a checkpoint of the sandbox's own time line was written on, where it stands on others by now. What is of
 * another line has to fit as it is.
 */
async function leaseFor(
  context: LifecycleContext,
  live: LiveSandbox,
  checkpoint: Checkpoint,
): Promise<LayerLease | undefined> {
  const { table } = requireCheckpointed(context, live.sandbox);
  const isOwn = pointsOf(table, live.sandbox).some(({ id }) => id === checkpoint.id);
  if (isOwn && !hasSameLayers(live, checkpoint)) return await context.layers.adopt(checkpoint.digests);
  requireFit(live, checkpoint);
  return undefined;
}

/** Of a new upper of a sandbox. */
interface NextUpper extends Pick<Lineage, "changed" | "merged"> {
  readonly checkpoint: Checkpoint;
  /** Of the layers that it is to stand on, where those change. */
  readonly lease?: LayerLease | undefined;
  /** Adds to what the checkpoint holds, in the upper at `path`; where it throws, the upper is not made. */
  readonly write?: (path: string) => Promise<void>;
}

/**
 * Gives a sandbox without processes an upper that holds what a checkpoint holds, and what is added to that. One write to
 * the registry changes which upper is the sandbox's, and what it stands on; the other one is nobody's from then on, or
 * still.
 */
export async function replaceUpper(
  context: LifecycleContext,
  live: LiveSandbox,
  { checkpoint, lease, write, ...changes }: NextUpper,
): Promise<void> {
  const { pool, lineage } = requireCheckpointed(context, live.sandbox);
  const { id, upper } = live.sandbox;
  const revision = lineage.revision + 1;
  await pool.growUpper({ upper: { sandbox: id, revision }, bytes: upper.bytes }, checkpoint.id);
  try {
    await write?.(upperIn(pool.directory, { sandbox: id, revision }));
  } catch (error) {
    await pool.dropUppers(id, lineage.revision).catch((err) => context.log.warn({ sandbox: id, err }, "a draft stays"));
    throw error;
  }
  const next = { lineage: { ...lineage, revision, head: checkpoint.id, ...changes } };
  if (lease === undefined) save(context, live, { ...live.sandbox, ...next });
  else {
    const { layers, warnings } = checkpoint.origin;
    await release(context, live, restack(context, live, lease, { layers, warnings, ...next }));
  }
  await pool.dropUppers(id, revision).catch((err) => context.log.warn({ sandbox: id, err }, "an old upper stays"));
}

/**
 * An upper means something on the layers that it was written on alone.
 * @throws PlyboxError `checkpoint/unfit`
 */
export function requireFit(live: LiveSandbox, checkpoint: Checkpoint): void {
  const { sandbox } = live;
  const { medium } = checkpoint;
  const isSame = hasSameLayers(live, checkpoint);
  if (isSame && medium === mediumOf(sandbox.upper)) return;
  const why = isSame ? "its upper is kept elsewhere" : "it was written on other layers";
  throw new PlyboxError("checkpoint/unfit", `the checkpoint does not fit the sandbox: ${why}`);
}

function hasSameLayers({ lease }: LiveSandbox, { digests }: Checkpoint): boolean {
  const own = lease?.layers.map(({ digest }) => digest) ?? [];
  return own.length === digests.length && own.every((digest, index) => digest === digests[index]);
}

/**
 * The point so many steps back: the last checkpoint first, or what that has come from where nothing has changed since.
 * @throws PlyboxError `checkpoint/none`
 */
export function pointBefore(context: LifecycleContext, live: LiveSandbox, steps: number): Checkpoint {
  const { table, lineage } = requireCheckpointed(context, live.sandbox);
  // Points that were made for something else are no steps, but for the one that a fork began with.
  const isStep = ({ state, cause: { type }, origin }: Checkpoint): boolean =>
    state === "ready" &&
    type !== "restore" &&
    ((type !== "fork" && type !== "merged") || origin.id !== live.sandbox.id);
  const chain = ancestry(table, lineage.head).filter(isStep);
  const isAtHead = !lineage.changed && chain[0]?.id === lineage.head;
  const point = chain[isAtHead ? steps : steps - 1];
  if (point !== undefined) return point;
  const most = chain.length - (isAtHead ? 1 : 0);
  throw new PlyboxError(
    "checkpoint/none",
    most === 0 ? "there is nothing to undo" : `only ${most} steps can be undone`,
  );
}
