import { createReadStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { constants } from "node:os";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { syncDirectory } from "../../base/atomic-file.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { MergeOptions, MergeStep } from "./merge.ts";
import { planMerge } from "./merge.ts";
import { MergeReport } from "./merge-report.ts";
import { Stack } from "./stack.ts";
import type { Tree } from "./tree.ts";
import type { Marks, OverlayPaths } from "./tree-program.ts";
import { TreeProgram } from "./tree-program.ts";

/** So many steps are asked for before the first of them is waited for. */
const AHEAD = 64;
const WRITTEN_AT_ONCE = 65_536;

export interface MergePlies extends MergeOptions {
  /** Absolute paths of plies, the lowest first; what two stacks have in common is not read. */
  readonly base: readonly string[];
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
  readonly marks?: Marks;
  /** Absolute path of the file that the steps are written to; it does not exist. */
  readonly journal: string;
}

export interface PreparedMerge {
  /** Whether the journal is there to be carried out: not where there is nothing to do, or a conflict to be refused. */
  readonly isReady: boolean;
  readonly report: MergeReport;
}

/**
 * Plans a merge and writes its steps to a journal, which appears whole or not at all. Nothing is changed yet.
 * @throws PlyboxError `aborted`, `file/no-space`, and as `TreeRequests.ask`
 */
export async function prepareMerge({ journal, marks, ...input }: MergePlies): Promise<PreparedMerge> {
  await using program = new TreeProgram(marks);
  const [base, ours, theirs] = await Promise.all(
    [input.base, input.ours, input.theirs].map((p) => Stack.open(program, p)),
  );
  if (base === undefined || ours === undefined || theirs === undefined) throw new Error("a merge has three sides");
  const report = new MergeReport();
  const draft = `${journal}.new`;
  const file = await open(draft, "w", 0o600);
  try {
    let text = "";
    for await (const told of planMerge({ base, ours, theirs }, input)) {
      report.add(told);
      if (told.kind === "conflict") continue;
      text += `${JSON.stringify(told)}\n`;
      if (text.length < WRITTEN_AT_ONCE) continue;
      await file.writeFile(text);
      text = "";
    }
    await file.writeFile(text);
    await file.sync();
    const isReady = report.steps > 0 && (report.conflictCount === 0 || input.prefer !== "refuse");
    if (isReady) await rename(draft, journal);
    if (isReady) await syncDirectory(dirname(journal));
    return { isReady, report };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // By its number, EDQUOT, for which Node has no name.
    if (code !== "ENOSPC" && (error as NodeJS.ErrnoException).errno !== -constants.errno.EDQUOT) throw error;
    throw new PlyboxError("file/no-space", "there is no room for the plan of the merge", { cause: error });
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}

export interface AppliedMerge {
  readonly journal: string;
  /** The plies of theirs as they were when the merge was planned, the lowest first. */
  readonly theirs: readonly string[];
  /** What ours is made of; nobody else has its upper mounted. */
  readonly ours: Required<OverlayPaths>;
  readonly marks?: Marks;
}

/**
 * Carries out a journal on the upper of ours, by way of what overlayfs shows, and removes it when all has reached the disk.
 * An upper of which some steps were taken is to be thrown away, or to be given all of them.
 * @throws PlyboxError `file/no-space`, `internal` for a journal that is none, and as `TreeRequests.ask`; the journal stays
 */
export async function applyMerge({ journal, theirs, ours, marks }: AppliedMerge): Promise<void> {
  await using program = new TreeProgram(marks);
  const sources = await Promise.all(theirs.map((path) => program.open(path)));
  const target = await program.overlay(ours);
  const asked: Promise<void>[] = [];
  for await (const step of readJournal(journal)) {
    for (const done of applyStep(step, target, sources)) {
      // Waited for below; until then its failure is nobody's.
      done.catch(() => {});
      asked.push(done);
    }
    while (asked.length > AHEAD) await asked.shift();
  }
  await Promise.all(asked);
  await target.sync();
  await rm(journal);
  await syncDirectory(dirname(journal));
}

async function* readJournal(path: string): AsyncGenerator<MergeStep> {
  for await (const line of createInterface({ input: createReadStream(path) })) yield JSON.parse(line) as MergeStep;
}

function applyStep(step: MergeStep, target: Tree, sources: readonly Tree[]): Promise<void>[] {
  const { kind, path } = step;
  if (kind === "remove") return [target.remove(path)];
  if (kind === "link") return [target.remove(path), target.link(step.to, path)];
  const source = sources[step.ply];
  if (source === undefined) throw new PlyboxError("internal", "the journal of a merge is of other plies");
  return kind === "copy" ? [target.remove(path), target.copy(source, path, path)] : [target.stamp(source, path, path)];
}
