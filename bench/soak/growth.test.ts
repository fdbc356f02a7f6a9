import { describe, expect, it } from "vitest";
import { growthOf } from "./growth.ts";

const run = (rssAt: (progress: number) => number) =>
  Array.from({ length: 101 }, (_, i) => ({ progress: i / 100, rssKiB: rssAt(i / 100), descriptors: 20 }));

describe("the growth of a run", () => {
  it("is none where the size is kept", () => {
    expect(growthOf(run(() => 2000)).ratio).toBe(0);
  });

  it("shows a leak", () => {
    const { earlyKiB, lateKiB, ratio } = growthOf(run((progress) => 1000 + 1000 * progress));
    expect([earlyKiB, lateKiB]).toEqual([1130, 1880]);
    expect(ratio).toBeCloseTo(0.66, 2);
  });

  it("is not that of single peaks", () => {
    expect(growthOf(run((progress) => (progress === 0.9 ? 9000 : 2000))).ratio).toBe(0);
  });

  it("cannot be told of a run that was not read", () => {
    expect(() => growthOf([{ progress: 0.2, rssKiB: 1, descriptors: 1 }])).toThrow("no reading between 0.75 and 1");
  });
});
