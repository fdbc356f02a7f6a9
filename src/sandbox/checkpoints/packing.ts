import type { Checkpoint } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { CheckpointId } from "../../model/ids.ts";
import type { Base, PackedPoint } from "../../snapshots/packed/packed-points.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import type { Snapshots } from "./snapshots.ts";
import { requireKept } from "./snapshots.ts";
import { collectPacked } from "./unpacking.ts";

/** So many points stand on one base: the next one is packed against another, which it differs less from. */
const STACK = 16;

export interface PackWish {
  /** Whether the file is to have all of it, and nothing of it is to be kept in the pool. */
  readonly whole: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Packs a checkpoint into a file, and takes it out of its pool, unless somebody reads it there. One that is packed stays as
 * it is packed.
 * @throws PlyboxError `checkpoint/lost`, `checkpoint/not-found` when it has gone meanwhile, `checkpoint/no-space`,
 *   `checkpoint/packing-failed`, `aborted`, `host/missing`
 */
export async function packCheckpoint(
  context: LifecycleContext,
  { id, medium, origin }: Checkpoint,
  { whole, signal }: PackWish,
): Promise<PackedPoint> {
  const { snapshots } = context;
  if (snapshots === undefined) throw gone(id);
  const packed = snapshots.packed[medium];
  // One at a time of each pool: they would only be in each other's way.
  await context.lock.run(`pack ${medium}`, async () => {
    const checkpoint = readyPoint(snapshots, id);
    if (packed.get(id) === undefined) await packNow(snapshots, checkpoint, { whole, ...(signal && { signal }) });
  });
  await context.lock.run(origin.id, () => packed.shed(id, () => snapshots.table.held.isHeld(id)));
  const point = packed.get(id);
  if (point === undefined) throw gone(id);
  return point;
}

async function packNow(snapshots: Snapshots, checkpoint: Checkpoint, { whole, signal }: PackWish): Promise<void> {
  const { table } = snapshots;
  const { id, medium, origin } = checkpoint;
  const base = whole ? null : baseFor(snapshots, checkpoint);
  const stop = new AbortController();
  const ended = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
  const needed = base === null ? [id] : [id, base.point];
  try {
    await table.held.duringUnlessWanted(
      needed,
      () => stop.abort(),
      () => snapshots.packed[medium].pack(id, { sandbox: origin.id, base, signal: ended }),
    );
  } catch (error) {
    throw stop.signal.aborted ? gone(id, error) : error;
  }
  if (table.get(id)?.state !== "ready") await collectPacked(snapshots);
}

/**
 * What a checkpoint is packed against: a later one of its sandbox, so that what it is packed into is what it alone still has;
 * of the latest, the one before. Null where there is none.
 */
function baseFor({ table, pools, packed }: Snapshots, { id, medium, origin }: Checkpoint): Base | null {
  const isUsable = ({ base, points }: { readonly base: Base; readonly points: number }): boolean =>
    base.sandbox === origin.id && base.point > id && points < STACK;
  const known = packed[medium].bases().find(isUsable);
  if (known !== undefined) return known.base;
  const others = table
    .all()
    .filter((each) => each.state === "ready" && each.origin.id === origin.id && each.id !== id)
    .filter((each) => pools[medium].has(each.id));
  const later = others.filter((each) => each.id > id).slice(0, STACK);
  const point = later.at(-1) ?? others.at(-1);
  return point === undefined ? null : { sandbox: origin.id, point: point.id };
}

function readyPoint({ table }: Snapshots, id: CheckpointId): Checkpoint {
  const checkpoint = table.get(id);
  if (checkpoint === undefined) throw gone(id);
  requireKept(checkpoint);
  if (checkpoint.state !== "ready") throw gone(id);
  return checkpoint;
}

const gone = (id: CheckpointId, cause?: unknown): PlyboxError =>
  new PlyboxError("checkpoint/not-found", `${id}, or what it was packed against, was removed meanwhile`, { cause });
