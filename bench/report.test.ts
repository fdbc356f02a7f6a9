import { describe, expect, test } from "vitest";
import type { Benchmark } from "./benchmark.ts";
import { figure, formatBenchmark, toRow } from "./report.ts";

const create: Benchmark = {
  name: "create",
  unit: "ms",
  method: "until the agent answers",
  ours: [3, 1, 2],
  references: [
    { name: "floor", samples: [1, 0.5, 4] },
    { name: "crun", reason: "not installed (apt-get install crun)" },
    { name: "bubblewrap", samples: [400] },
  ],
  notes: ["200 sandboxes were made"],
};

describe("a JSON row", () => {
  test("compares with the first reference by its p50", () => {
    expect(toRow(create)).toEqual({
      name: "create",
      unit: "ms",
      p50: 2,
      p90: 3,
      p99: 3,
      reference: "floor",
      referenceP50: 1,
      ratio: 2,
    });
  });

  test("has null where the reference cannot run", () => {
    const row = toRow({ ...create, references: [{ name: "floor", reason: "not installed" }] });
    expect(row).toMatchObject({ p50: 2, reference: null, referenceP50: null, ratio: null });
    expect(Object.keys(row)).toEqual(Object.keys(toRow(create)));
  });

  test("is made of numbers, not of rounded text", () => {
    expect(toRow({ ...create, ours: [1.23456789] }).p50).toBe(1.23456789);
  });
});

describe("a table", () => {
  test("shows ours, each reference with the ratio to it, and why one is missing", () => {
    expect(formatBenchmark(create)).toBe(
      [
        "create: until the agent answers",
        "              n  p50 ms   p90   p99  plybox is",
        "  plybox      3    2.00  3.00  3.00",
        "  floor       3    1.00  4.00  4.00     2.00 ×",
        "  crun           not installed (apt-get install crun)",
        "  bubblewrap  1     400   400   400    0.005 ×",
        "  200 sandboxes were made",
      ].join("\n"),
    );
  });

  test.each([
    [0, "0.00"],
    [0.0123, "0.012"],
    [0.5, "0.500"],
    [1.239, "1.24"],
    [12.34, "12.3"],
    [123.4, "123"],
    [12345.6, "12346"],
    [-1.5, "-1.50"],
  ])("writes %d as %s", (value, text) => {
    expect(figure(value)).toBe(text);
  });
});
