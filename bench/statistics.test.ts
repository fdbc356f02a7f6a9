import { describe, expect, test } from "vitest";
import { percentile, summarize } from "./statistics.ts";

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

describe("a percentile", () => {
  test.each([
    [50, 100, 50],
    [90, 100, 90],
    [99, 100, 99],
    [100, 100, 100],
    [50, 5, 3],
    [50, 4, 2],
    [99, 5, 5],
    [90, 11, 10],
    [0, 5, 1],
  ])("p%d of 1 to %d is %d", (percent, last, expected) => {
    expect(percentile(upTo(last), percent)).toBe(expected);
  });

  test("of one sample is that sample", () => {
    expect([1, 50, 99].map((percent) => percentile([7], percent))).toEqual([7, 7, 7]);
  });

  test("of nothing is refused", () => {
    expect(() => percentile([], 50)).toThrow("no percentile 50 of 0 samples");
  });
});

describe("a summary", () => {
  test("sorts by value, not by text", () => {
    expect(summarize([10, 9, 100, 1])).toEqual({ count: 4, p50: 9, p90: 100, p99: 100 });
  });

  test("leaves the samples as they were", () => {
    const samples = [3, 1, 2];
    summarize(samples);
    expect(samples).toEqual([3, 1, 2]);
  });

  test("keeps an outlier", () => {
    expect(summarize([...upTo(98), 5000, 6000]).p99).toBe(5000);
  });
});
