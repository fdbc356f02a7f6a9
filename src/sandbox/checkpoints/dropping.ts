import type { Checkpoint } from "../../model/checkpoint.ts";
import type { SandboxId } from "../../model/ids.ts";
import { mediumOf } from "../launch-plan.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { save } from "../lifecycle/context.ts";
import { collectPacked } from "./unpacking.ts";

/** Whether a sandbox, but for `except`, has been made from a checkpoint or stands on it, or somebody reads it. */
export function isReferenced({ live, snapshots }: LifecycleContext, { id }: Checkpoint, except?: SandboxId): boolean {
  if (snapshots?.table.held.isHeld(id)) return true;
  return live.all().some(({ sandbox: { id: sandbox, state, lineage } }) => {
    if (lineage === null || sandbox === except || state.kind === "destroyed") return false;
    return lineage.head === id || lineage.forkedFrom?.checkpoint === id;
  });
}

/**
 * Removes checkpoints. What stands on one of them stands on what that one had come from.
 * @param options.passing of those that were taken so: nobody holds something else by that
 */
export async function dropCheckpoints(
  context: LifecycleContext,
  checkpoints: readonly Checkpoint[],
  { passing = false }: { readonly passing?: boolean } = {},
): Promise<void> {
  const { snapshots } = context;
  if (snapshots === undefined || checkpoints.length === 0) return;
  const { table, pools } = snapshots;
  table.put(...checkpoints.map((each): Checkpoint => ({ ...each, state: "removing" })));
  for (const medium of ["memory", "disk"] as const) {
    await pools[medium].drop(checkpoints.filter((each) => each.medium === medium).map(({ id }) => id));
  }
  const parents = new Map(checkpoints.map(({ id, parent }) => [id, parent]));
  table.together(() => {
    for (const live of context.live.all()) {
      const { lineage } = live.sandbox;
      let head = lineage?.head ?? null;
      while (head !== null && parents.has(head)) head = parents.get(head) ?? null;
      if (lineage === null || head === lineage.head) continue;
      save(context, live, { ...live.sandbox, lineage: { ...lineage, head, changed: !passing || lineage.changed } });
    }
    table.delete(...parents.keys());
  });
  await collectPacked(snapshots);
}

/** Removes what a sandbox has in a pool, and the checkpoints that go with it: those without a name that nobody needs. */
export async function dropAllOf(context: LifecycleContext, sandbox: SandboxId): Promise<void> {
  const { snapshots } = context;
  const live = context.live.get(sandbox);
  if (snapshots === undefined || live === undefined || live.sandbox.lineage === null) return;
  await snapshots.pools[mediumOf(live.sandbox.upper)].dropUppers(sandbox);
  // One that is still being made is in the hands of who makes it.
  const isLeft = ({ name, state, origin }: Checkpoint): boolean =>
    name === null && state !== "making" && (origin.id === sandbox || context.live.get(origin.id) === undefined);
  const { table } = snapshots;
  await Promise.all(
    table
      .all()
      .filter(isLeft)
      .map(({ id }) => table.held.untilFree(id)),
  );
  const left = table.all().filter((each) => isLeft(each) && !isReferenced(context, each, sandbox));
  await dropCheckpoints(context, left);
}
