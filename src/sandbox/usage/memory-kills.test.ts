import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sandboxRecord } from "../../../test/support/sandbox-record.ts";
import type { EventBody } from "../../model/event.ts";
import { eventOf } from "../../model/event.ts";
import type { ExecReport } from "../../model/exec.ts";
import { newExecId } from "../../model/ids.ts";
import { MemoryKills } from "./memory-kills.ts";

const sandbox = sandboxRecord();
let announced: number;
let kills: MemoryKills;

function make(countsOwnLimits = false): void {
  kills?.close();
  kills = new MemoryKills({ countsOwnLimits, announce: () => (announced += 1) });
}
beforeEach(() => {
  vi.useFakeTimers();
  announced = 0;
  make();
});
afterEach(() => {
  kills.close();
  vi.useRealTimers();
});

const happened = (body: EventBody): void => kills.happened(eventOf(sandbox, body));
const sampled = (oomKills: number | null, createdAt = new Date()): void =>
  kills.sampled({ sandbox: sandbox.id, oomKills }, createdAt);

function ended(memoryKills: number, rest: Partial<ExecReport> = {}): void {
  const exec = newExecId();
  const report = {
    exec,
    limit: "memory",
    limitsMet: { memoryKills, refusedForks: 0, upperFull: null },
    ...rest,
  } as ExecReport;
  happened({ type: "exec.ended", exec, report });
}

describe("a kill for want of memory", () => {
  it("is announced once when no command tells of it", () => {
    sampled(0);
    sampled(2);
    sampled(2);
    expect(announced).toBe(0);
    vi.runAllTimers();
    expect(announced).toBe(1);
    sampled(2);
    vi.runAllTimers();
    expect(announced).toBe(1);
    sampled(3);
    vi.runAllTimers();
    expect(announced).toBe(2);
  });

  it("is announced where the first reading has it", () => {
    sampled(1);
    vi.runAllTimers();
    expect(announced).toBe(1);
  });

  it.each([
    ["before", () => [ended(1), sampled(1)]],
    ["soon after", () => [sampled(1), ended(1)]],
  ])("is the command's that tells of it %s the reading", (_when, act) => {
    act();
    vi.runAllTimers();
    expect(announced).toBe(0);
  });

  it("is announced beside one that a command tells of", () => {
    ended(1);
    sampled(2);
    vi.runAllTimers();
    expect(announced).toBe(1);
  });

  it("is announced beside a command that went on regardless", () => {
    ended(1, { limit: null });
    sampled(1);
    vi.runAllTimers();
    expect(announced).toBe(1);
  });

  it("is announced after two commands told of one and the same", () => {
    ended(1);
    ended(1);
    sampled(1);
    sampled(2);
    vi.runAllTimers();
    expect(announced).toBe(1);
  });

  it.each([
    [false, 1],
    [true, 0],
  ])("by a limit of the command's own counts as the machine has it: %s", (countsOwnLimits, expected) => {
    make(countsOwnLimits);
    ended(1, { memoryPeakBytes: 1 });
    sampled(1);
    vi.runAllTimers();
    expect(announced).toBe(expected);
  });

  it("is announced after a start, which counts from 0 again", () => {
    sampled(5);
    vi.runAllTimers();
    sampled(0);
    sampled(1);
    vi.runAllTimers();
    expect(announced).toBe(2);
  });
});

describe("nothing is announced", () => {
  it("of what was counted before this daemon knew the sandbox", () => {
    sampled(7, new Date(Date.now() - 1));
    vi.runAllTimers();
    expect(announced).toBe(0);
    sampled(8);
    vi.runAllTimers();
    expect(announced).toBe(1);
  });

  it("of a sandbox that is gone, or whose kills are not counted", () => {
    sampled(1);
    happened({ type: "sandbox.state", state: { kind: "destroyed", reason: { type: "asked" } }, reason: null });
    sampled(null);
    vi.runAllTimers();
    expect(announced).toBe(0);
  });
});
