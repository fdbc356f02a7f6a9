import { join } from "node:path";
import type { Checkpoint } from "../../model/checkpoint.ts";
import type { Change } from "../../snapshots/plies/diff.ts";
import { diffPlies } from "../../snapshots/plies/diff.ts";
import type { TextDiff } from "../../snapshots/plies/text-diff.ts";
import { textDiff } from "../../snapshots/plies/text-diff.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireFit } from "./restoring.ts";
import { requireCheckpointed, requireKept } from "./snapshots.ts";
import { inPool } from "./unpacking.ts";

export interface ComparisonWish {
  /** How many changes are told. */
  readonly limit: number;
  /** Whether what changed in files is told line by line. */
  readonly texts: boolean;
  readonly signal?: AbortSignal;
}

/** One name that differs between two points. */
export interface PointChange {
  readonly kind: Change["kind"];
  /** Below the root, a character a byte. */
  readonly path: string;
  /** In what; empty but for what has changed. */
  readonly aspects: readonly string[];
  readonly text?: TextDiff;
}

export interface Comparison {
  readonly changes: readonly PointChange[];
  /** Whether there are more than are told. */
  readonly more: boolean;
  /** Whether one of the points had to be unpacked for it. */
  readonly unpacked: boolean;
}

/** Of all texts together; what would be more is told as too large. */
const MOST_TEXT = 8 * 1024 ** 2;

/**
 * What differs between two points of a sandbox, in the order of the paths.
 * @throws PlyboxError `checkpoint/unfit`, `checkpoint/lost`, `aborted`
 */
export async function comparePoints(
  context: LifecycleContext,
  live: LiveSandbox,
  points: readonly [Checkpoint, Checkpoint],
  wish: ComparisonWish,
): Promise<Comparison> {
  return await inPool(context, points, async (unpacked) => ({
    ...(await compareHeld(context, live, points, wish)),
    unpacked,
  }));
}

async function compareHeld(
  context: LifecycleContext,
  live: LiveSandbox,
  [before, after]: readonly [Checkpoint, Checkpoint],
  { limit, texts, signal }: ComparisonWish,
): Promise<Omit<Comparison, "unpacked">> {
  const { pool } = requireCheckpointed(context, live.sandbox);
  const layers = live.lease?.mounts.map(({ path }) => path) ?? [];
  const pliesOf = (checkpoint: Checkpoint): readonly string[] => {
    requireKept(checkpoint);
    requireFit(live, checkpoint);
    return [...layers, join(pool.checkpointPath(checkpoint.id), "upper")];
  };
  const plies = { before: pliesOf(before), after: pliesOf(after) };
  const changes: PointChange[] = [];
  let left = MOST_TEXT;
  for await (const change of diffPlies({ ...plies, ...(signal && { signal }) })) {
    if (changes.length === limit) return { changes, more: true };
    const aspects = change.kind === "changed" ? change.aspects : [];
    const text =
      texts && hasText(change) ? await textDiff(change.before, change.after, { mostBytes: left }) : undefined;
    if (text?.kind === "text") left = Math.max(0, left - text.unified.length);
    changes.push({ kind: change.kind, path: change.path, aspects, ...(text && { text }) });
  }
  return { changes, more: false };
}

const hasText = ({ kind, before, after, ...change }: Change): boolean =>
  (before?.entry.kind === "file" || after?.entry.kind === "file") &&
  (kind !== "changed" || ("aspects" in change && change.aspects.includes("content")));
