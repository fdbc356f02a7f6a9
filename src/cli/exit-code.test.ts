import { describe, expect, it } from "vitest";
import { exitCodeOf, exitCodeOfSignal, limitNote, limitsMetNote } from "./exit-code.ts";

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
    [{ exitCode: 2, signal: null, limit: "pids" }, 2],
    [{ exitCode: 3, signal: null, limit: "disk" }, 3],
    [{ exitCode: null, signal: "SIGXFSZ", limit: "file-size" }, 153],
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

describe("limitsMetNote", () => {
  it("tells what was met on the way, and not again what the limit says already", () => {
    const limitsMet = { memoryKills: 1, refusedForks: 2, upperFull: "bytes" } as const;
    expect(limitsMetNote({ limit: null, limitsMet })).toBe(
      "plybox: while the command ran: 1 process killed for want of memory, 2 forks refused, " +
        "the writable layer has no bytes left\n",
    );
    expect(limitsMetNote({ limit: "pids", limitsMet: { refusedForks: 2, memoryKills: 2 } })).toBe(
      "plybox: while the command ran: 2 processes killed for want of memory\n",
    );
    expect(limitsMetNote({ limit: "disk", limitsMet: { upperFull: "inodes" } })).toBe("");
    expect(limitsMetNote({ limit: null })).toBe("");
  });
});
