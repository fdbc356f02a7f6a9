import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CheckpointView } from "../api/contract.ts";
import { bisect, pointsToTry } from "./bisect.ts";

const checkpoint = (index: number, changes: Partial<CheckpointView> = {}): CheckpointView => ({
  ...{ id: `cp_${index}`, sandbox: "sb", tenant: "default", name: null, state: "ready", createdAt: "", layers: [] },
  ...{ cause: { type: "exec", command: `step ${index}` }, parent: index === 0 ? null : `cp_${index - 1}` },
  ...{ medium: "memory", packed: null },
  ...changes,
});
const chain = (count: number): readonly CheckpointView[] => Array.from({ length: count }, (_, i) => checkpoint(i));
const timeline = (checkpoints: readonly CheckpointView[], head: string | null) => ({
  ...{ sandbox: "sb", head, changed: true, checkpoints: [...checkpoints] },
});

describe("the points that a sandbox has come by", () => {
  it("lead from the oldest to what it holds now, and leave out branches and what is lost", () => {
    const branch = checkpoint(7, { parent: "cp_1" });
    const [a, b, c] = chain(3) as [CheckpointView, CheckpointView, CheckpointView];
    const lost: CheckpointView = { ...b, state: "lost" };
    expect(pointsToTry(timeline([a, lost, c, branch], "cp_2"))).toEqual([a, c, null]);
    expect(pointsToTry(timeline([a, b, c, branch], "cp_7"))).toEqual([a, b, branch, null]);
    expect(pointsToTry(timeline([], null))).toEqual([null]);
  });
});

describe("a bisection", () => {
  it("finds the first bad point, wherever it is, in few steps", async () => {
    const cases = fc
      .integer({ min: 2, max: 300 })
      .chain((count) => fc.record({ count: fc.constant(count), first: fc.integer({ min: 1, max: count - 1 }) }));
    await fc.assert(
      fc.asyncProperty(cases, async ({ count, first }) => {
        const points = [...chain(count - 1), null];
        let steps = 0;
        const found = await bisect(points, async (point) => {
          steps += 1;
          return points.indexOf(point) < first ? 0 : 1;
        });
        expect(found).toEqual({
          kind: "found",
          lastGood: points[first - 1],
          firstBad: points[first],
          command: `step ${first - 1}`,
        });
        expect(steps).toBeLessThanOrEqual(2 + Math.ceil(Math.log2(count)));
      }),
    );
  });

  it.each([
    ["always-good", 0],
    ["always-bad", 1],
    ["always-bad", 124],
  ])("tells %s by exit code %i", async (kind, exitCode) => {
    expect(await bisect([...chain(5), null], async () => exitCode)).toEqual({ kind });
  });

  it("of a test that cannot be run is given up", async () => {
    await expect(bisect([...chain(2), null], async () => 127)).rejects.toThrow("could not be run at the end: 127");
  });
});
