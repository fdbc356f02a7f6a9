import { setImmediate as immediate } from "node:timers/promises";
import { deferred } from "../../base/deferred.ts";
import type { Checkpoint, CheckpointCause } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import { newCheckpointId } from "../../model/ids.ts";
import type { GrownUpper } from "../../snapshots/pools/snapshot-pool.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { save } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireState } from "../transitions.ts";
import { originOf } from "./checkpoint-table.ts";
import { dropCheckpoints, isReferenced } from "./dropping.ts";
import { requireCheckpointed } from "./snapshots.ts";

/** Of a sandbox in which no command runs. */
const AGENT_TASKS = 1;

export interface CheckpointWish {
  readonly name?: string;
  readonly cause: CheckpointCause;
  /** Whether commands that run stand still meanwhile, so that it is one moment of all of them. */
  readonly freeze?: boolean;
  /** Whether it is only looked at and then dropped: the sandbox has not changed by it. */
  readonly passing?: boolean;
  /**
   * Called when it is about to be taken. What is answered is made in the same step; `kept` settles when that is done, or
   * cannot be.
   */
  readonly grow?: (checkpoint: Checkpoint, kept: Promise<void>) => Promise<GrownUpper | undefined>;
}

export interface TakenCheckpoint {
  readonly checkpoint: Checkpoint;
  /** Whether commands that ran were frozen for it. */
  readonly frozen: boolean;
}

/**
 * Keeps what a sandbox has written by now. Of what commands write meanwhile some is in it, unless they are frozen.
 * To be called exclusively.
 * @throws PlyboxError `checkpoint/unsupported`, `checkpoint/name-taken`, `checkpoint/no-space`, `sandbox/…`
 */
export async function takeCheckpoint(
  context: LifecycleContext,
  live: LiveSandbox,
  { name, cause, freeze = false, passing = false, grow }: CheckpointWish,
): Promise<TakenCheckpoint> {
  const { table, pool, lineage } = requireCheckpointed(context, live.sandbox);
  requireState("checkpoint", live.sandbox.state, "running", "paused", "stopped", "failed");
  if (name !== undefined) requireFreeName(context, live, name);
  const checkpoint: Checkpoint = {
    ...{ id: newCheckpointId(), name: name ?? null, state: "making", cause, parent: lineage.head },
    ...{ createdAt: new Date(), medium: pool.medium, origin: originOf(live.sandbox) },
    digests: live.lease?.layers.map(({ digest }) => digest) ?? [],
  };
  const excess = excessOf(context, live, cause);
  // Written down before anything is made, so that a daemon that comes back finds it again.
  table.put(checkpoint, ...excess.map((each): Checkpoint => ({ ...each, state: "removing" })));
  const upper = { sandbox: live.sandbox.id, revision: lineage.revision };
  const kept = deferred();
  kept.promise.catch(() => {});
  let thaw: (() => Promise<void>) | undefined;
  try {
    const grown = await grow?.(checkpoint, kept.promise);
    if (freeze) thaw = await freezeCommands(context, live);
    const instead = excess.map(({ id }) => id);
    await pool.keep(upper, checkpoint.id, { instead, grown }).finally(() => thaw?.());
    kept.resolve();
    // What waits for it goes on while this is written down.
    if (grown !== undefined) await immediate();
  } catch (error) {
    kept.reject(error);
    const left = [checkpoint, ...excess];
    // What cannot be taken away now is taken away by the next daemon.
    await dropCheckpoints(context, left).catch((err) => context.log.warn({ err }, "a failed checkpoint stays for now"));
    throw error;
  }
  const frozen = thaw !== undefined;
  const ready: Checkpoint = { ...checkpoint, state: "ready" };
  table.together(() => {
    table.put(ready);
    table.delete(...excess.map(({ id }) => id));
    const changed = !passing || lineage.changed;
    save(context, live, { ...live.sandbox, lineage: { ...lineage, head: ready.id, changed } });
  });
  return { checkpoint: table.get(ready.id) ?? ready, frozen };
}

/** Freezes the commands of a sandbox, where there are any. Answers what lets them go on. */
export async function freezeCommands(
  { backend }: LifecycleContext,
  { running, sandbox }: LiveSandbox,
): Promise<(() => Promise<void>) | undefined> {
  if (running === undefined || sandbox.state.kind !== "running" || !backend.capabilities.pause) return undefined;
  const tasks = running.tasks();
  if (tasks !== null && tasks <= AGENT_TASKS) return undefined;
  await running.pause();
  return () => running.resume();
}

/** Of the checkpoints that nobody asked for, the oldest, beyond what is to be kept of them with one more. */
function excessOf(context: LifecycleContext, { sandbox }: LiveSandbox, cause: CheckpointCause): readonly Checkpoint[] {
  const keep = sandbox.lineage?.automatic?.keep;
  // What is kept for a restore makes no room: the oldest may be where that goes.
  if (keep === undefined || cause.type !== "exec") return [];
  const { table } = requireCheckpointed(context, sandbox);
  const automatic = table
    .all()
    .filter((each) => each.origin.id === sandbox.id && isAutomatic(each) && !isReferenced(context, each, sandbox.id));
  return automatic.slice(0, Math.max(0, automatic.length + 1 - keep));
}

const AUTOMATIC: ReadonlySet<CheckpointCause["type"]> = new Set(["exec", "restore", "merge", "merged"]);

const isAutomatic = ({ name, cause }: Pick<Checkpoint, "name" | "cause">): boolean =>
  name === null && AUTOMATIC.has(cause.type);

function requireFreeName(context: LifecycleContext, { sandbox }: LiveSandbox, name: string): void {
  const { table } = requireCheckpointed(context, sandbox);
  if (!table.all().some((each) => each.origin.id === sandbox.id && each.name === name)) return;
  throw new PlyboxError("checkpoint/name-taken", `the sandbox has a checkpoint called ${name}`, { field: "name" });
}
