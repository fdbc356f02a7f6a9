import { describe, expect, it } from "vitest";
import { parseCores, parseCount } from "./numbers.ts";

describe("parseCount", () => {
  it("reads a whole number", () => {
    expect(parseCount("512")).toBe(512);
  });

  it.each(["", "0", "-1", "1.5", "1e3", "ten", " 1", "9".repeat(16)])("refuses %j", (text) => {
    expect(() => parseCount(text)).toThrow(/not a count/);
  });
});

describe("parseCores", () => {
  it.each([
    ["2", 2],
    ["0.5", 0.5],
  ])("reads %j", (text, cores) => {
    expect(parseCores(text)).toBe(cores);
  });

  it.each(["", "0", "0.0", "-1", "half", "1.5.2", "Infinity", "1e2"])("refuses %j", (text) => {
    expect(() => parseCores(text)).toThrow(/not a number of cores/);
  });
});
