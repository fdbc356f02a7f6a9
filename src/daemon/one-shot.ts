import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UndoStack } from "../base/undo-stack.ts";
import type { LayerStore } from "../layers/layer-store.ts";
import { PlyboxError } from "../model/errors.ts";
import { findCgroups, findFreezer, parentsOf } from "../sandbox/cgroup-layout.ts";
import { RANGE_SIZE } from "../sandbox/id-ranges.ts";
import { memoryRegistry } from "../sandbox/memory-registry.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import type { Config } from "./config.ts";
import { ownPaths } from "./config.ts";
import { idsOf, ONE_SHOT_IDS } from "./id-space.ts";
import { readRealm } from "./rootless/realm.ts";
import { cgroupMounts, cgroupParentOf, openRuntime } from "./runtime.ts";
import { removeCgroupTree } from "./sweep.ts";

export interface OneShot {
  readonly sandboxes: Sandboxes;
  readonly layers: LayerStore;
  /** Removes every sandbox that was made, and whatever this process put on the host. */
  close(): Promise<void>;
}

/** Says what goes wrong where nobody reads a log. */
const LOG = { debug() {}, warn() {} };

/**
 * Sandboxes without a daemon: they end with this process, even if it is killed.
 * @throws PlyboxError `host/missing`, `sandbox/too-many` when 1,024 such processes run
 */
export async function openOneShot(config: Config): Promise<OneShot> {
  await using undo = new UndoStack();
  const { slot, runDir, cgroupParent } = claimSlot(config.runDir, undo);
  const realm = readRealm();
  const runtime = await openRuntime({
    own: ownPaths(config),
    layerBounds: config.layerBounds,
    ...{ stateDir: config.stateDir, runDir, cgroupParent, registry: memoryRegistry(), log: LOG, ephemeral: true },
    realm,
    ids: idsOf(realm, { first: ONE_SHOT_IDS.first + slot * RANGE_SIZE, count: 1 }),
  });
  undo.push("close the runtime", () => runtime.close());
  undo.push("remove the sandboxes", () => runtime.sandboxes.removeAll());
  const held = undo.move();
  return { sandboxes: runtime.sandboxes, layers: runtime.layers, close: () => held[Symbol.asyncDispose]() };
}

interface Slot {
  readonly slot: number;
  readonly runDir: string;
  readonly cgroupParent: string;
}

/** Takes a directory that nobody has, whose number is an id range too. One whose owner is dead is cleared and taken. */
function claimSlot(runDir: string, undo: UndoStack): Slot {
  const parent = join(runDir, "run");
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const taken = new Set(readdirSync(parent));
  for (let slot = 0; slot < ONE_SHOT_IDS.count; slot++) {
    const directory = join(parent, String(slot));
    const cgroupParent = `${cgroupParentOf(runDir)}-run-${slot}`;
    if (taken.has(String(slot)) && !clearDead(directory, cgroupParent)) continue;
    if (!tryTake(directory)) continue;
    undo.push("give the slot back", () => clear(directory, cgroupParent));
    return { slot, runDir: directory, cgroupParent };
  }
  throw new PlyboxError("sandbox/too-many", `${ONE_SHOT_IDS.count} one-shot runs are under way`);
}

/** Moves a directory that bears this process's mark to where it is wanted, so that no slot is ever without its owner. */
function tryTake(directory: string): boolean {
  const marked = `${directory}.new-${process.pid}`;
  mkdirSync(marked, { mode: 0o700 });
  writeFileSync(join(marked, "owner"), markOf(process.pid) ?? "");
  try {
    renameSync(marked, directory);
    return true;
  } catch (error) {
    rmSync(marked, { recursive: true });
    if (["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

/** Names a process for good: pid and start time. One that only waits to be reaped has ended. */
function markOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Fields 3 and 22, counted behind the command's name, which may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : `${pid} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

function isOwned(directory: string): boolean {
  try {
    const mark = readFileSync(join(directory, "owner"), "utf8");
    return markOf(Number.parseInt(mark, 10)) === mark;
  } catch {
    return false;
  }
}

/** Clears a slot whose owner is dead. Moved away first: of two that find it, one gets it. */
function clearDead(directory: string, cgroupParent: string): boolean {
  if (isOwned(directory)) return false;
  const moved = `${directory}.dead-${process.pid}`;
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
  clear(moved, cgroupParent);
  return true;
}

function clear(directory: string, cgroupParent: string): void {
  const mounts = cgroupMounts(readRealm());
  const layout = findCgroups(mounts);
  const parents = parentsOf(layout, cgroupParent, findFreezer(mounts, layout, cgroupParent));
  for (const path of parents) removeCgroupTree(path);
  rmSync(directory, { recursive: true, force: true });
}
