import type { Checkpoint, Lineage, Medium } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { CheckpointId } from "../../model/ids.ts";
import { isCheckpointId } from "../../model/ids.ts";
import type { Sandbox, SandboxSpec } from "../../model/sandbox.ts";
import { hasSnapshots } from "../../model/sandbox.ts";
import type { PackedPoints } from "../../snapshots/packed/packed-points.ts";
import type { SnapshotPool } from "../../snapshots/pools/snapshot-pool.ts";
import type { SnapshotPools } from "../../snapshots/pools/snapshot-pools.ts";
import { mediumOf } from "../launch-plan.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import type { CheckpointTable } from "./checkpoint-table.ts";

/** Where checkpoints are, and what is known of them. */
export interface Snapshots {
  readonly pools: SnapshotPools;
  /** What of the pools is in files. */
  readonly packed: Readonly<Record<Medium, PackedPoints>>;
  readonly table: CheckpointTable;
}

/** What is at hand of a sandbox that can be checkpointed. */
export interface Checkpointed {
  readonly table: CheckpointTable;
  readonly pool: SnapshotPool;
  readonly lineage: Lineage;
}

/** @throws PlyboxError `checkpoint/unsupported` */
export function requireCheckpointed({ snapshots }: LifecycleContext, { upper, lineage }: Sandbox): Checkpointed {
  if (snapshots !== undefined && lineage !== null) {
    return { table: snapshots.table, pool: snapshots.pools[mediumOf(upper)], lineage };
  }
  const message = "its upper is not copied on write: create the sandbox with snapshots (upper.snapshots, --snapshots)";
  throw new PlyboxError("checkpoint/unsupported", message);
}

/**
 * Refuses what cannot be had of snapshots.
 * @throws PlyboxError `input/invalid`, `host/missing`
 */
export function requireSnapshots({ snapshots }: LifecycleContext, { upper, checkpoints }: SandboxSpec): void {
  if (upper !== undefined && hasSnapshots(upper)) {
    if (snapshots !== undefined) return;
    const message = "snapshots need a daemon that runs as root";
    throw new PlyboxError("host/missing", message, { field: "upper.snapshots" });
  }
  if (checkpoints === undefined) return;
  throw new PlyboxError("input/invalid", "checkpoints need an upper with snapshots", { field: "checkpoints" });
}

/** The lineage of a sandbox that is about to be made, on a checkpoint or on nothing. */
export function newLineage({ upper, checkpoints }: SandboxSpec, base: Checkpoint | undefined): Lineage | null {
  if (upper === undefined || !hasSnapshots(upper)) return null;
  return {
    revision: 1,
    head: base?.id ?? null,
    changed: false,
    forkedFrom: base === undefined ? null : { sandbox: base.origin.id, checkpoint: base.id },
    merged: base?.origin.lineage?.merged ?? [],
    automatic: checkpoints ?? null,
  };
}

/** What a sandbox can go back to: its own checkpoints, and those that it has come from, oldest first. */
export function pointsOf(table: CheckpointTable, { id, lineage }: Sandbox): readonly Checkpoint[] {
  const behind = new Set(ancestry(table, lineage?.head ?? null).map((checkpoint) => checkpoint.id));
  const isShown = ({ state }: Checkpoint): boolean => state === "ready" || state === "lost";
  return table.all().filter((each) => isShown(each) && (each.origin.id === id || behind.has(each.id)));
}

/** A checkpoint, and what it has come from, newest first. */
export function ancestry(table: CheckpointTable, head: CheckpointId | null): readonly Checkpoint[] {
  const chain: Checkpoint[] = [];
  for (let id = head; id !== null; ) {
    const checkpoint = table.get(id);
    if (checkpoint === undefined) break;
    chain.push(checkpoint);
    id = checkpoint.parent;
  }
  return chain;
}

/**
 * The newest point whose changes a sandbox and a checkpoint both hold.
 * @throws PlyboxError `checkpoint/unrelated`, `checkpoint/lost`
 */
export function commonPoint(table: CheckpointTable, { lineage }: Sandbox, theirs: Checkpoint): Checkpoint {
  const held = new Set([...ancestry(table, lineage?.head ?? null).map(({ id }) => id), ...(lineage?.merged ?? [])]);
  const common = ancestry(table, theirs.id).find(({ id }) => held.has(id));
  if (common === undefined) {
    throw new PlyboxError("checkpoint/unrelated", "the two have no checkpoint in common that they have come from");
  }
  requireKept(common);
  return common;
}

/**
 * Finds a checkpoint by its id, or by its name among those that a sandbox can go back to; of two of one name, the newest.
 * For a sandbox, what is another tenant's does not exist.
 * @throws PlyboxError `checkpoint/not-found`, `checkpoint/lost`
 */
export function findPoint(table: CheckpointTable, ref: string, sandbox?: Sandbox): Checkpoint {
  const named = sandbox && pointsOf(table, sandbox).findLast(({ name }) => name === ref);
  const found = named ?? (isCheckpointId(ref) ? table.get(ref) : undefined);
  const isOthers = sandbox !== undefined && found?.origin.tenant !== sandbox.tenant;
  if (found === undefined || isOthers || found.state === "making" || found.state === "removing") {
    throw new PlyboxError("checkpoint/not-found", `there is no checkpoint ${JSON.stringify(ref.slice(0, 80))}`);
  }
  return found;
}

/** @throws PlyboxError `checkpoint/lost` */
export function requireKept(checkpoint: Checkpoint): void {
  if (checkpoint.state !== "lost") return;
  throw new PlyboxError("checkpoint/lost", `what ${checkpoint.id} held was in memory, and is gone`);
}
