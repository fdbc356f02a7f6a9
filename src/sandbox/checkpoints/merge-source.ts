import { PlyboxError } from "../../model/errors.ts";
import type { CheckpointId, SandboxId } from "../../model/ids.ts";
import { isCheckpointId } from "../../model/ids.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { dropCheckpoints } from "./dropping.ts";
import type { Merge, MergeWish } from "./merging.ts";
import { mergeInto } from "./merging.ts";
import { findPoint, requireCheckpointed } from "./snapshots.ts";
import { takeCheckpoint } from "./taking.ts";

/** Whose changes are merged: a sandbox's as they are now, or were at one of its checkpoints. */
export interface MergeSource {
  readonly sandbox: SandboxId;
  readonly point?: CheckpointId;
}

/**
 * Finds what is to be merged into a sandbox; what is another tenant's does not exist.
 * @throws PlyboxError `sandbox/not-found`, `checkpoint/not-found`, `checkpoint/unsupported`, `input/invalid`
 */
export function sourceOf(context: LifecycleContext, ours: Sandbox, from: string): MergeSource {
  const { table } = requireCheckpointed(context, ours);
  if (isCheckpointId(from)) {
    const { id, origin } = findPoint(table, from, ours);
    return { sandbox: origin.id, point: id };
  }
  const { sandbox } = context.live.find(from, ours.tenant);
  if (sandbox.tenant !== ours.tenant) throw new PlyboxError("sandbox/not-found", `there is no sandbox ${from}`);
  if (sandbox.id === ours.id) {
    throw new PlyboxError("input/invalid", "a sandbox cannot be merged into itself", { field: "from" });
  }
  return { sandbox: sandbox.id };
}

/** Merges it. To be called exclusively of both. @throws PlyboxError as `mergeInto` and `takeCheckpoint` do */
export async function mergeFrom(
  context: LifecycleContext,
  ours: LiveSandbox,
  { sandbox, point }: MergeSource,
  wish: MergeWish,
): Promise<Merge> {
  const { table } = requireCheckpointed(context, ours.sandbox);
  if (point !== undefined) return await mergeInto(context, ours, findPoint(table, point, ours.sandbox), wish);
  const theirs = context.live.find(sandbox);
  const taken = await takeCheckpoint(context, theirs, { cause: { type: "merged" }, freeze: true, passing: true });
  try {
    const merge = await mergeInto(context, ours, taken.checkpoint, wish);
    return { ...merge, frozen: merge.frozen || taken.frozen };
  } finally {
    // What has been merged whole is what the next merge of the two counts from.
    const isKept = ours.sandbox.lineage?.merged.includes(taken.checkpoint.id);
    if (!isKept) await dropCheckpoints(context, [taken.checkpoint], { passing: true });
  }
}
