import type { Checkpoint } from "../../model/checkpoint.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import type { Snapshots } from "./snapshots.ts";
import { requireKept } from "./snapshots.ts";

/**
 * Does something with checkpoints that are in their pools for it, unpacked where they were not; none of them goes meanwhile.
 * @throws PlyboxError `checkpoint/lost`, `checkpoint/no-space`, `checkpoint/packing-failed`
 */
export async function inPool<T>(
  { snapshots }: LifecycleContext,
  checkpoints: readonly Checkpoint[],
  work: (unpacked: boolean) => Promise<T>,
): Promise<T> {
  if (snapshots === undefined) return await work(false);
  const ids = checkpoints.map(({ id }) => id);
  return await snapshots.table.held.during(ids, async () => {
    let unpacked = false;
    for (const checkpoint of checkpoints) {
      requireKept(checkpoint);
      const { id, medium, origin } = checkpoint;
      if (await snapshots.packed[medium].unpack(id, origin.id)) unpacked = true;
    }
    return await work(unpacked);
  });
}

/** Takes away what checkpoints were packed into that are there no more. */
export async function collectPacked({ table, packed }: Snapshots): Promise<void> {
  const isWanted = (id: Checkpoint["id"]): boolean => table.get(id)?.state === "ready";
  for (const each of [packed.memory, packed.disk]) await each.collect(isWanted);
}
