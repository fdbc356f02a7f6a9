import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { levelOf, Pressure } from "./pressure.ts";

const THRESHOLDS = { high: 80, critical: 95 };

describe("a level", () => {
  it.each([
    ["normal", 79.9, "normal"],
    ["normal", 80, "high"],
    ["normal", 95, "critical"],
    ["high", 75, "high"],
    ["high", 74.9, "normal"],
    ["high", 95, "critical"],
    ["critical", 90, "critical"],
    ["critical", 89.9, "high"],
    ["critical", 75, "high"],
    ["critical", 74.9, "normal"],
  ] as const)("that was %s is at %d percent %s", (before, percent, after) => {
    expect(levelOf(before, percent, THRESHOLDS)).toBe(after);
  });
});

describe("pressure", () => {
  const used = new Map<string, number>();
  const told: string[] = [];
  let pressure: Pressure;

  beforeEach(() => {
    used.clear();
    told.length = 0;
    pressure = new Pressure({
      *measure() {
        for (const [storage, usedBytes] of used)
          yield { storage: storage as "disk-pool", sandbox: null, usedBytes, totalBytes: 200 };
      },
      onChange: (level, { storage, usedBytes }) => told.push(`${storage} ${level} ${usedBytes}`),
      thresholds: THRESHOLDS,
      everyMs: 3_600_000,
    });
  });
  afterEach(() => pressure.close());

  const at = async (storage: string, ...amounts: readonly number[]): Promise<void> => {
    for (const amount of amounts) {
      used.set(storage, amount);
      await pressure.check();
    }
  };

  it("tells of a change once, however often it looks and however it goes up and down a little", async () => {
    await at("disk-pool", 0, 159, 160, 161, 155, 165, 151, 190, 189, 181, 179, 160, 149, 158, 160);
    expect(told).toEqual([
      ...["disk-pool high 160", "disk-pool critical 190", "disk-pool high 179", "disk-pool normal 149"],
      "disk-pool high 160",
    ]);
  });

  it("holds each thing apart, and forgets what is gone", async () => {
    await at("disk-pool", 160);
    await at("memory-pool", 160);
    used.delete("disk-pool");
    await at("memory-pool", 160);
    await at("disk-pool", 160);
    expect(told).toEqual(["disk-pool high 160", "memory-pool high 160", "disk-pool high 160"]);
  });
});
