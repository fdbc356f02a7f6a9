import type { CheckpointView, TimelineView } from "../api/contract.ts";
import type { CallOptions } from "./connection.ts";

/** What a test made of one point; null is what the sandbox holds now. */
export interface BisectStep {
  readonly point: CheckpointView | null;
  readonly isGood: boolean;
  readonly exitCode: number;
}

export interface BisectOptions extends CallOptions {
  /** Called for each point that has been tried. */
  readonly onStep?: (step: BisectStep) => void;
}

/** Where a test begins to fail. */
export type Bisection =
  | {
      readonly kind: "found";
      readonly lastGood: CheckpointView;
      /** Null: what the sandbox holds now. */
      readonly firstBad: CheckpointView | null;
      /** What ran between the two, where checkpoints are made before each command. */
      readonly command: string | null;
    }
  | { readonly kind: "always-good" | "always-bad" };

/** Exit codes above tell of a test that could not be run, as for `git bisect run`. */
const HIGHEST_BAD = 124;

/** The points that a sandbox has come by, oldest first; what it holds now is last. */
export function pointsToTry({ head, checkpoints }: TimelineView): readonly (CheckpointView | null)[] {
  const byId = new Map(checkpoints.map((checkpoint) => [checkpoint.id, checkpoint]));
  const points: (CheckpointView | null)[] = [null];
  for (let next = byId.get(head ?? ""); next !== undefined; next = byId.get(next.parent ?? "")) {
    if (next.state === "ready") points.unshift(next);
  }
  return points;
}

/**
 * Finds the first of some points at which a test fails: every point after it has to fail as well.
 * @param test the exit code at a point: 0 is good, 1 to 124 bad; others are an Error
 */
export async function bisect(
  points: readonly (CheckpointView | null)[],
  test: (point: CheckpointView | null) => Promise<number>,
  onStep: (step: BisectStep) => void = () => {},
): Promise<Bisection> {
  const isGood = async (index: number): Promise<boolean> => {
    const point = points[index] ?? null;
    const exitCode = await test(point);
    if (exitCode > HIGHEST_BAD) throw new Error(`the test could not be run at ${point?.id ?? "the end"}: ${exitCode}`);
    onStep({ point, isGood: exitCode === 0, exitCode });
    return exitCode === 0;
  };
  let bad = points.length - 1;
  if (await isGood(bad)) return { kind: "always-good" };
  let good = 0;
  if (bad === good || !(await isGood(good))) return { kind: "always-bad" };
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await isGood(middle)) good = middle;
    else bad = middle;
  }
  const lastGood = points[good] as CheckpointView;
  const command = lastGood.cause.type === "exec" ? lastGood.cause.command : null;
  return { kind: "found", lastGood, firstBad: points[bad] ?? null, command };
}
