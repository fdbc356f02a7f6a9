import { describe, expect, it } from "vitest";
import { formatSize, parseSize } from "./size.ts";

describe("parseSize", () => {
  it.each([
    ["1", 1],
    ["4096", 4096],
    ["512B", 512],
    ["1K", 1024],
    ["500M", 524_288_000],
    ["500m", 524_288_000],
    ["500MB", 524_288_000],
    ["500MiB", 524_288_000],
    ["1.5G", 1_610_612_736],
    ["1.5 G", 1_610_612_736],
    ["2T", 2_199_023_255_552],
    ["0.3K", 307],
    [" 64M ", 67_108_864],
  ])("reads %j as %d bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    "",
    " ",
    "M",
    "-1",
    "-5M",
    "+5M",
    "5X",
    "5MM",
    "5 0M",
    "1,5G",
    "1e9",
    "0x10",
    "1.5",
    ".5G",
    "5.G",
    "Infinity",
    "NaN",
    "5M;",
  ])("refuses %j and says what a size looks like", (text) => {
    expect(() => parseSize(text)).toThrow(/not a size: ".*"; write bytes, or a number with K, M, G or T/);
  });

  it.each([
    ["0", "at least one byte"],
    ["0M", "at least one byte"],
    ["0.0001K", "at least one byte"],
    ["99999T", "larger than any machine"],
    ["9007199254740993", "larger than any machine"],
  ])("refuses %j: %s", (text, reason) => {
    expect(() => parseSize(text)).toThrow(reason);
  });

  it("does not repeat endless input in its message", () => {
    expect(() => parseSize(`${"9".repeat(10_000)}x`)).toThrow(/^.{0,160}$/);
  });
});

describe("formatSize", () => {
  it.each([
    [0, "0B"],
    [1023, "1023B"],
    [1024, "1K"],
    [1536, "1.5K"],
    [524_288_000, "500M"],
    [1_610_612_736, "1.5G"],
    [1_073_741_823, "1G"],
    [5_000_000, "4.8M"],
    [2_199_023_255_552, "2T"],
  ])("shows %d as %s", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});
