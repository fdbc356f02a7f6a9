import { describe, expect, it } from "vitest";
import { exitCodeOf, exitCodeOfSignal, limitNote } from "./exit-code.ts";

describe("exitCodeOf", () => {
  it.each([
    [{ exitCode: 0, signal: null, limit: null }, 0],
    [{ exitCode: 7, signal: null, limit: null }, 7],
    [{ exitCode: null, signal: "SIGTERM", limit: null }, 143],
    [{ exitCode: null, signal: "SIGKILL", limit: null }, 137],
    [{ exitCode: null, signal: "SIGSEGV", limit: null }, 139],
    [{ exitCode: null, signal: "SIGKILL", limit: "wall" }, 124],
    [{ exitCode: 0, signal: null, limit: "wall" }, 124],
    [{ exitCode: 1, signal: null, limit: "memory" }, 137],
  ] as const)("of %j is %d", (report, code) => {
    expect(exitCodeOf(report)).toBe(code);
  });

  it("of an interrupt is what a shell would say", () => {
    expect(exitCodeOfSignal("SIGINT")).toBe(130);
  });
});

describe("limitNote", () => {
  it("names the limit, and its value where the user gave one", () => {
    expect(limitNote("wall", "10s")).toBe("plybox: the command ran into its time limit of 10s\n");
    expect(limitNote("memory", undefined)).toBe("plybox: the command ran into its memory limit\n");
  });
});
