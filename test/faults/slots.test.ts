import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { UndoStack } from "../../src/base/undo-stack.ts";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import { claimSlot, sweepSlots } from "../../src/daemon/slots.ts";
import { findCgroups, parentsOf } from "../../src/sandbox/cgroup-layout.ts";
import { cgroupsWith } from "../support/traces.ts";

const DEAD = `${process.pid}.1.${"0".repeat(32)}`;

let runDir: string;
let survivor: ChildProcess;

/** A slot of a run that was killed, one of whose processes still runs. */
beforeEach(async () => {
  runDir = mkdtempSync(join(tmpdir(), "plybox-slots-"));
  mkdirSync(join(runDir, "run/0/uppers"), { recursive: true });
  writeFileSync(join(runDir, "run/0/owner"), DEAD);
  survivor = spawn("sleep", ["600"]);
  await once(survivor, "spawn");
  const parent = `${cgroupParentOf(runDir)}-run-0`;
  for (const path of parentsOf(findCgroups(readFileSync("/proc/mounts", "utf8")), parent, undefined)) {
    mkdirSync(join(path, "sb_one/exec-1"), { recursive: true });
    writeFileSync(join(path, "sb_one/exec-1/cgroup.procs"), String(survivor.pid));
  }
});
afterEach(async () => {
  await end();
  await sweepSlots(runDir);
  rmSync(runDir, { recursive: true });
  expect(cgroups()).toEqual([]);
});

async function end(): Promise<void> {
  if (survivor.exitCode !== null || survivor.signalCode !== null) return;
  const ended = once(survivor, "exit");
  survivor.kill("SIGKILL");
  await ended;
}
const cgroups = (): readonly string[] => cgroupsWith(cgroupParentOf(runDir));
const slots = (): readonly string[] => readdirSync(join(runDir, "run"));

it("a slot whose cgroups are in use is found by every sweep, until the one that can clear it", async () => {
  const before = cgroups();
  expect(before).not.toEqual([]);
  await sweepSlots(runDir);
  expect(slots()).toEqual(["0"]);
  expect(cgroups()).toEqual(before);
  await end();
  await sweepSlots(runDir);
  expect(slots()).toEqual([]);
  expect(cgroups()).toEqual([]);
});

it("a process that is on its way out is waited for", async () => {
  const from = performance.now();
  const swept = sweepSlots(runDir);
  await end();
  const took = performance.now() - from;
  await swept;
  // A sweep waits for a second. What the machine takes longer to end is the next one's.
  if (took > 500) await sweepSlots(runDir);
  expect(slots()).toEqual([]);
  expect(cgroups()).toEqual([]);
});

it("no run gets the ids of a process that still runs, and the next one clears what it has left", async () => {
  await using undo = new UndoStack();
  expect(await claimSlot(runDir, undo)).toMatchObject({ slot: 1 });
  expect(cgroups()).not.toEqual([]);
  await end();
  expect(await claimSlot(runDir, undo)).toMatchObject({ slot: 0 });
  expect(cgroups()).toEqual([]);
  await undo[Symbol.asyncDispose]();
  expect(slots()).toEqual([]);
});
