import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { isAlive, markOf } from "../base/process-mark.ts";
import type { UndoStack } from "../base/undo-stack.ts";
import { PlyboxError } from "../model/errors.ts";
import { findCgroups, findFreezer, parentsOf } from "../sandbox/cgroup-layout.ts";
import { ONE_SHOT_IDS } from "./id-space.ts";
import { readRealm } from "./rootless/realm.ts";
import { cgroupMounts, cgroupParentOf } from "./runtime.ts";
import { removeCgroupTree } from "./sweep.ts";

/** What one one-shot run has to itself. */
export interface Slot {
  /** Which of the id ranges for such runs. */
  readonly slot: number;
  readonly runDir: string;
  readonly cgroupParent: string;
}

/** `N`, and what it is called while it is made or removed by the process whose mark follows. */
const SLOT = /^(\d+)(?:\.(?:new|dead)-(.+))?$/;

/** How long processes that have been killed may take to leave their cgroups: the kernel is at it, and seldom for so long. */
const BUSY_TRIES = 50;
const BUSY_PAUSE_MS = 20;

const parentOf = (runDir: string): string => join(runDir, "run");
const cgroupsOf = (runDir: string, slot: number): string => `${cgroupParentOf(runDir)}-run-${slot}`;

/**
 * Takes a directory that nobody has, whose number is an id range too. One whose owner is dead is cleared and taken,
 * unless processes of its runs are still there: they have its ids.
 * @throws PlyboxError `sandbox/too-many`
 */
export async function claimSlot(runDir: string, undo: UndoStack): Promise<Slot> {
  const parent = parentOf(runDir);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const taken = new Set(readdirSync(parent));
  for (let slot = 0; slot < ONE_SHOT_IDS.count; slot++) {
    const directory = join(parent, String(slot));
    const cgroupParent = cgroupsOf(runDir, slot);
    const isTaken = taken.has(String(slot));
    if (isTaken && !removeDead(directory)) continue;
    if (!tryTake(directory)) continue;
    if (isTaken && !(await removeCgroups(cgroupParent))) {
      disown(directory);
      continue;
    }
    undo.push("give the slot back", () => giveBack(directory, cgroupParent));
    return { slot, runDir: directory, cgroupParent };
  }
  throw new PlyboxError("sandbox/too-many", `${ONE_SHOT_IDS.count} one-shot runs are under way`);
}

/** Clears every slot whose owner is dead, also those that were being made or removed. */
export async function sweepSlots(runDir: string): Promise<void> {
  const parent = parentOf(runDir);
  for (const name of existsSync(parent) ? readdirSync(parent) : []) {
    const [, slot, worker] = SLOT.exec(name) ?? [];
    const directory = join(parent, name);
    if (slot === undefined) continue;
    if (worker !== undefined) {
      if (!isAlive(worker)) rmSync(directory, { recursive: true, force: true });
    } else if (removeDead(directory) && tryTake(directory)) {
      // Its cgroups are looked at by who has the slot alone.
      await giveBack(directory, cgroupsOf(runDir, Number(slot)));
    }
  }
}

/** Moves a directory that bears this process's mark to where it is wanted, so that no slot is ever without its owner. */
function tryTake(directory: string): boolean {
  const mark = markOf(process.pid) ?? "";
  const marked = `${directory}.new-${mark}`;
  mkdirSync(marked, { mode: 0o700 });
  writeFileSync(join(marked, "owner"), mark);
  try {
    renameSync(marked, directory);
    return true;
  } catch (error) {
    rmSync(marked, { recursive: true });
    if (["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

function isOwned(directory: string): boolean {
  try {
    return isAlive(readFileSync(join(directory, "owner"), "utf8"));
  } catch {
    return false;
  }
}

/** Removes a slot whose owner is dead. Moved away first: of two that find it, one gets it. */
function removeDead(directory: string): boolean {
  if (isOwned(directory)) return false;
  const moved = asideOf(directory);
  try {
    renameSync(directory, moved);
  } catch {
    return false;
  }
  // Taken anew between the look and the move: it goes back to its owner.
  if (isOwned(moved)) {
    renameSync(moved, directory);
    return false;
  }
  rmSync(moved, { recursive: true, force: true });
  return true;
}

/**
 * Removes a slot of this process's own: from one moment to the next, so that what somebody puts there is not met. With
 * cgroups that are still in use it stays, for who else would find them?
 */
async function giveBack(directory: string, cgroupParent: string): Promise<void> {
  if (!(await removeCgroups(cgroupParent))) return disown(directory);
  const moved = asideOf(directory);
  renameSync(directory, moved);
  rmSync(moved, { recursive: true, force: true });
}

/** Leaves a slot of this process's own to who looks for dead ones next. */
const disown = (directory: string): void => rmSync(join(directory, "owner"), { force: true });

const asideOf = (directory: string): string => `${directory}.dead-${markOf(process.pid)}`;

/** Answers whether they are gone. */
async function removeCgroups(cgroupParent: string): Promise<boolean> {
  const mounts = cgroupMounts(readRealm());
  const layout = findCgroups(mounts);
  let left = parentsOf(layout, cgroupParent, findFreezer(mounts, layout, cgroupParent));
  for (let tries = 1; ; tries++) {
    left = left.filter((path) => !removeCgroupTree(path));
    if (left.length === 0 || tries === BUSY_TRIES) return left.length === 0;
    await setTimeout(BUSY_PAUSE_MS);
  }
}
