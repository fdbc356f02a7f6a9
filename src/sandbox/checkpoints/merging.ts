import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../../model/checkpoint.ts";
import type { CheckpointId } from "../../model/ids.ts";
import type { MergeOptions } from "../../snapshots/plies/merge.ts";
import { applyMerge, prepareMerge } from "../../snapshots/plies/merge-journal.ts";
import type { MergeReport } from "../../snapshots/plies/merge-report.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { endProcesses, startSandbox } from "../lifecycle/stopping.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireState } from "../transitions.ts";
import { dropCheckpoints } from "./dropping.ts";
import { replaceUpper, requireFit } from "./restoring.ts";
import { commonPoint, requireCheckpointed, requireKept } from "./snapshots.ts";
import { takeCheckpoint } from "./taking.ts";
import { inPool } from "./unpacking.ts";

export interface MergeWish extends MergeOptions {
  /** Whether to tell what a merge would do, and do nothing. */
  readonly dryRun: boolean;
}

export interface Merge {
  /** `conflicts`, and `unchanged` where there is nothing to merge: nothing was done. `planned`: only because of `dryRun`. */
  readonly outcome: "merged" | "planned" | "conflicts" | "unchanged";
  readonly report: MergeReport;
  /** What the changes were counted from. */
  readonly base: Checkpoint;
  /** What the sandbox held before it was merged into; null where nothing was done. */
  readonly before: CheckpointId | null;
  /** Whether its commands were ended, and it was started again. */
  readonly restarted: boolean;
  /** Whether commands that ran stood still while it was looked at. */
  readonly frozen: boolean;
  /** Whether one of the points had to be unpacked for it. */
  readonly unpacked: boolean;
}

/**
 * Brings what `theirs` changed since the newest point that both have come from into a sandbox. It is written to a copy of
 * its upper, which then takes the upper's place: all of it or nothing. A sandbox that runs is stopped for that and started
 * again, but only when a look at it has shown that there is something to write. To be called exclusively.
 * @throws PlyboxError `checkpoint/unrelated`, `checkpoint/unfit`, `checkpoint/lost`, `checkpoint/no-space`,
 *   `file/no-space`, `layer/too-large`, `aborted`, and as a stop and a start do
 */
export async function mergeInto(
  context: LifecycleContext,
  ours: LiveSandbox,
  theirs: Checkpoint,
  wish: MergeWish,
): Promise<Merge> {
  const { table } = requireCheckpointed(context, ours.sandbox);
  const { kind } = requireState("merge into", ours.sandbox.state, "running", "paused", "stopped", "failed");
  requireKept(theirs);
  const base = commonPoint(table, ours.sandbox, theirs);
  for (const side of [base, theirs]) requireFit(ours, side);
  const isLive = kind === "running" || kind === "paused";
  return await inPool(context, [base, theirs], async (unpacked) => {
    const merger = new Merger(context, ours, { base, theirs }, wish);
    if (!isLive && !wish.dryRun) return { ...(await merger.write()), unpacked };
    const look = { ...(await merger.lookAt()), unpacked };
    if (wish.dryRun || look.outcome !== "planned") return look;
    return { ...(await writeBetweenRuns(context, ours, { base, theirs }, wish)), frozen: look.frozen, unpacked };
  });
}

/** Ends the processes of a sandbox, merges, and starts it again. Once they have ended no client's leaving ends the rest. */
async function writeBetweenRuns(
  context: LifecycleContext,
  ours: LiveSandbox,
  sides: Sides,
  { signal: _, ...wish }: MergeWish,
): Promise<Merge> {
  await endProcesses(context, ours, { type: "asked" });
  try {
    return { ...(await new Merger(context, ours, sides, wish).write()), restarted: true };
  } finally {
    await startSandbox(context, ours);
  }
}

interface Sides {
  readonly base: Checkpoint;
  readonly theirs: Checkpoint;
}

class Merger {
  readonly #context: LifecycleContext;
  readonly #ours: LiveSandbox;
  readonly #sides: Sides;
  readonly #wish: MergeWish;

  constructor(context: LifecycleContext, ours: LiveSandbox, sides: Sides, wish: MergeWish) {
    this.#context = context;
    this.#ours = ours;
    this.#sides = sides;
    this.#wish = wish;
  }

  /** What a merge would do with what the sandbox holds at this moment. */
  async lookAt(): Promise<Merge> {
    const wish = { cause: { type: "merge" }, freeze: true, passing: true } as const;
    const now = await takeCheckpoint(this.#context, this.#ours, wish);
    try {
      return await this.#plan(now.checkpoint, async (planned) => ({ ...planned, frozen: now.frozen }));
    } finally {
      await dropCheckpoints(this.#context, [now.checkpoint], { passing: true });
    }
  }

  /** Merges into a sandbox without processes; it may hold more than when it was looked at. */
  async write(): Promise<Merge> {
    const { checkpoint: before } = await takeCheckpoint(this.#context, this.#ours, { cause: { type: "merge" } });
    let isMerged = false;
    try {
      return await this.#plan(before, async (planned, journal) => {
        if (planned.outcome !== "planned") return planned;
        const layers = this.#layers();
        const theirs = this.#pliesOf(this.#sides.theirs);
        const write = (path: string): Promise<void> => {
          const [upper, work] = [join(path, "upper"), join(path, "work")];
          return applyMerge({ journal, theirs, ours: { layers, changes: { upper, work } } });
        };
        const merged = this.#merged();
        await replaceUpper(this.#context, this.#ours, { checkpoint: before, changed: true, merged, write });
        isMerged = true;
        return { ...planned, outcome: "merged", before: before.id };
      });
    } finally {
      if (!isMerged) await dropCheckpoints(this.#context, [before]);
    }
  }

  /** Plans a merge into what the sandbox held at a point, and has the journal used, which is gone afterwards. */
  async #plan(ours: Checkpoint, use: (planned: Merge, journal: string) => Promise<Merge>): Promise<Merge> {
    const { pool } = requireCheckpointed(this.#context, this.#ours.sandbox);
    const { dryRun: _, ...options } = this.#wish;
    const { base, theirs } = this.#sides;
    const plies = { base: this.#pliesOf(base), ours: this.#pliesOf(ours), theirs: this.#pliesOf(theirs) };
    const journal = pool.planPath(this.#ours.sandbox.id);
    try {
      const { isReady, report } = await prepareMerge({ ...plies, ...options, journal });
      const outcome = isReady ? "planned" : report.conflictCount > 0 ? "conflicts" : "unchanged";
      const nothing = { before: null, restarted: false, frozen: false, unpacked: false };
      return await use({ outcome, report, base, ...nothing }, journal);
    } finally {
      await rm(journal, { force: true });
    }
  }

  /** What is merged of a part is not all that theirs has changed: the rest may be merged later. */
  #merged(): readonly CheckpointId[] {
    const { table, lineage } = requireCheckpointed(this.#context, this.#ours.sandbox);
    const merged = lineage.merged.filter((id) => table.get(id) !== undefined);
    return this.#wish.select === undefined ? [...merged, this.#sides.theirs.id] : merged;
  }

  #layers(): readonly string[] {
    return this.#ours.lease?.mounts.map(({ path }) => path) ?? [];
  }

  #pliesOf({ id }: Checkpoint): readonly string[] {
    const { pool } = requireCheckpointed(this.#context, this.#ours.sandbox);
    return [...this.#layers(), join(pool.checkpointPath(id), "upper")];
  }
}
