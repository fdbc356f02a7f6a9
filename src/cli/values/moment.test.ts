import { describe, expect, it } from "vitest";
import { parseMoment } from "./moment.ts";

const NOW = new Date("2026-01-01T12:00:00Z");

describe("a point in time", () => {
  it.each([
    ["10m", "2026-01-01T11:50:00.000Z"],
    ["1h30m", "2026-01-01T10:30:00.000Z"],
    [" 1d ", "2025-12-31T12:00:00.000Z"],
    ["2025-06-01T00:00:00Z", "2025-06-01T00:00:00.000Z"],
    ["2025-06-01T00:00:00.25+02:00", "2025-05-31T22:00:00.250Z"],
  ])("%j is %s", (text, expected) => {
    expect(parseMoment(text, NOW).toISOString()).toBe(expected);
  });

  it.each(["", "10", "yesterday", "2025-06-01", "2025-06-01T00:00:00", "2025-13-01T00:00:00Z", "9000000000000h"])(
    "%j is refused",
    (text) => {
      expect(() => parseMoment(text, NOW)).toThrowError(expect.objectContaining({ code: "input/invalid" }));
    },
  );
});
