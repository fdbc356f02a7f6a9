import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

describe("parseDuration", () => {
  it.each([
    ["500ms", 500],
    ["10s", 10_000],
    ["0.5s", 500],
    ["2m", 120_000],
    ["1h30m", 5_400_000],
    ["1m30s250ms", 90_250],
    ["1d", 86_400_000],
    [" 3s ", 3000],
  ])("reads %j as %d ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "10", "s", "-1s", "10 s", "10S", "10sec", "1.s", ".5s", "1s garbage", "1e3ms", "10s10"])(
    "refuses %j and says what a duration looks like",
    (text) => {
      expect(() => parseDuration(text)).toThrow(/not a duration: ".*"; write a number with ms, s, m, h or d/);
    },
  );

  it.each([
    ["0s", "at least 1ms"],
    ["0.1ms", "at least 1ms"],
    ["999999999999d", "longer than any machine runs"],
  ])("refuses %j: %s", (text, reason) => {
    expect(() => parseDuration(text)).toThrow(reason);
  });
});

describe("formatDuration", () => {
  it.each([
    [1, "1ms"],
    [999, "999ms"],
    [1500, "1.5s"],
    [10_000, "10s"],
    [90_000, "1m30s"],
    [3_600_000, "1h"],
    [59_990, "1m"],
  ])("shows %d ms as %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it("is read back as the same time but for rounding", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 86_400_000 }), (ms) => {
        expect(Math.abs(parseDuration(formatDuration(ms)) - ms)).toBeLessThanOrEqual(ms < 60_000 ? 50 : 550);
      }),
    );
  });
});
