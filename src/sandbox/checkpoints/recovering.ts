import type { Checkpoint, Medium } from "../../model/checkpoint.ts";
import { mediumOf } from "../launch-plan.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { dropCheckpoints } from "./dropping.ts";
import { collectPacked } from "./unpacking.ts";

const MEDIA: readonly Medium[] = ["memory", "disk"];

/**
 * Opens the pools that an earlier daemon made, and tells what they lack: to be called before any sandbox is taken over.
 * @throws PlyboxError where a pool that is there cannot be opened: what is in it is not to be taken for lost
 */
export async function recoverCheckpoints(context: LifecycleContext): Promise<void> {
  const { snapshots } = context;
  if (snapshots === undefined) return;
  const { table, pools, packed } = snapshots;
  for (const medium of MEDIA) {
    await pools[medium].openKept();
    await packed[medium].recover();
  }
  const isThere = ({ id, medium }: Checkpoint): boolean =>
    pools[medium].has(id) || packed[medium].get(id) !== undefined;
  const lost = table.all().filter((each) => each.state === "ready" && !isThere(each));
  table.put(...lost.map((each): Checkpoint => ({ ...each, state: "lost" })));
  for (const { id } of lost) context.log.warn({ checkpoint: id }, "what a checkpoint held is gone");
}

/**
 * Settles what an earlier daemon had begun, and takes away what is in the pools and in no registry: to be called when every
 * sandbox is known, also those that stand on what goes. What was being made was promised to nobody; what was being removed
 * was promised to be gone. What is on disk may be all that somebody has of it, and is only told of, but for what a known
 * sandbox has been given another upper for.
 */
export async function sweepPools(context: LifecycleContext): Promise<void> {
  const { snapshots, live, log } = context;
  if (snapshots === undefined) return;
  const { table, pools } = snapshots;
  const isHalf = ({ state }: Checkpoint): boolean => state === "making" || state === "removing";
  await dropCheckpoints(context, table.all().filter(isHalf));
  for (const medium of MEDIA) {
    const pool = pools[medium];
    for (const sandbox of new Set(pool.uppers().map((upper) => upper.sandbox))) {
      const known = live.get(sandbox)?.sandbox;
      const isOwner = known?.lineage && mediumOf(known.upper) === medium;
      if (isOwner) await pool.dropUppers(sandbox, known.lineage?.revision);
      else if (medium === "memory") await pool.dropUppers(sandbox);
      else log.warn({ sandbox }, "the registry does not know the sandbox that wrote an upper in the pool on disk");
    }
    const unknown = pool.checkpoints().filter((id) => table.get(id) === undefined);
    if (medium === "memory") await pool.drop(unknown);
    else for (const checkpoint of unknown) log.warn({ checkpoint }, "the registry does not know a checkpoint on disk");
  }
  await collectPacked(snapshots);
}
