import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CgroupPlan } from "../../model/launch-plan.ts";
import { cgroupTasks, cgroupUsage, stallOf } from "./cgroup-usage.ts";

/** Stand in for cgroups: what is read there are plain files. */
let paths: readonly string[];

beforeEach(() => {
  paths = ["a", "b", "c"].map((name) => mkdtempSync(join(tmpdir(), `plybox-usage-${name}-`)));
});
afterEach(() => {
  for (const path of paths) rmSync(path, { recursive: true });
});

const plan = (version: 1 | 2, count: number): CgroupPlan[] =>
  paths.slice(0, count).map((path) => ({ path, version, set: [], roles: [] }));
const write = (index: number, files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(paths[index] ?? "", name), text);
};
const NOTHING = { cpuMs: null, memoryBytes: null, memoryPeakBytes: null, pids: null, oomKills: null, pressure: null };
const STALL = "some avg10=1.50 avg60=0.20 avg300=0.00 total=2500\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=500\n";

describe("on version 1", () => {
  it("finds each figure in the hierarchy that has it", () => {
    write(0, { "memory.usage_in_bytes": "4096\n", "memory.max_usage_in_bytes": "8192\n" });
    write(0, { "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n" });
    write(1, { "pids.current": "7\n" });
    write(2, { "cpuacct.usage": "1500000\n" });
    const usage = cgroupUsage(plan(1, 3));
    const expected = { ...NOTHING, cpuMs: 1.5, memoryBytes: 4096, memoryPeakBytes: 8192, pids: 7, oomKills: 3 };
    expect(usage()).toEqual(expected);
    write(1, { "pids.current": "8\n" });
    expect(usage()).toEqual({ ...expected, pids: 8 });
  });

  it("does not tell what no hierarchy has", () => {
    expect(cgroupUsage(plan(1, 3))()).toEqual(NOTHING);
    expect(cgroupUsage([])()).toEqual(NOTHING);
  });
});

it("counts tasks alone, wherever they are counted", () => {
  write(1, { "pids.current": "7\n" });
  const tasks = cgroupTasks(plan(1, 3));
  expect(tasks()).toBe(7);
  write(1, { "pids.current": "8\n" });
  expect(tasks()).toBe(8);
  expect(cgroupTasks(plan(1, 1))()).toBeNull();
});

describe("on version 2", () => {
  it("reads the files of the one hierarchy", () => {
    write(0, { "cpu.stat": "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\n" });
    write(0, { "memory.current": "4096\n", "memory.peak": "8192\n", "pids.current": "7\n" });
    write(0, { "memory.events": "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n" });
    write(0, { "cpu.pressure": STALL, "memory.pressure": STALL, "io.pressure": STALL });
    const stall = { someMs: 2.5, fullMs: 0.5, someAvg10: 1.5, fullAvg10: 0.25 };
    expect(cgroupUsage(plan(2, 1))()).toEqual({
      ...{ cpuMs: 2.5, memoryBytes: 4096, memoryPeakBytes: 8192, pids: 7, oomKills: 1 },
      pressure: { cpu: stall, memory: stall, io: stall },
    });
  });

  it("does not tell what the kernel does not have, such as pressure or a peak", () => {
    write(0, { "memory.current": "4096\n" });
    expect(cgroupUsage(plan(2, 1))()).toEqual({ ...NOTHING, memoryBytes: 4096 });
  });
});

describe("pressure", () => {
  it("may have no line for all tasks at once, as of the processor", () => {
    expect(stallOf(STALL.split("\n")[0])).toEqual({ someMs: 2.5, fullMs: 0, someAvg10: 1.5, fullAvg10: 0 });
  });

  it.each([undefined, "", "some total=1\n"])("is not told by %j", (text) => {
    expect(stallOf(text)).toBeNull();
  });
});
