import { readdirSync, readFileSync } from "node:fs";
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findCgroups } from "../src/sandbox/cgroup-layout.ts";
import { cgroupsOf, readProcessMemory } from "./machine.ts";

const KIB = 1024;
const EMPTY_MS = 10_000;
const LOOK_MS = 5;
/** The most that a cgroup was charged, by version. */
const PEAKS = ["memory.max_usage_in_bytes", "memory.peak"];

/** What a cgroup and all below it held in memory. */
export interface Held {
  /** The kernel's own peak: pages of processes, of tmpfs and of files that it was the first to read, and kernel memory. */
  readonly peakKiB: number;
  /** Of the processes that are there now. */
  readonly processes: number;
  readonly pssKiB: number;
}

/** A memory cgroup of the bench's own, for what makes none. */
export class MemoryCgroup implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** @throws Error where this machine has no memory cgroups */
  static async make(name: string): Promise<MemoryCgroup> {
    const layout = findCgroups(readFileSync("/proc/mounts", "utf8"));
    const root = layout.version === 2 ? layout.root : layout.roots.get("memory");
    if (root === undefined) throw new Error("this machine has no memory cgroups");
    const path = join(root, name);
    await mkdir(path);
    return new MemoryCgroup(path);
  }

  /** A process that writes 0 to it joins. */
  get joinFile(): string {
    return join(this.path, "cgroup.procs");
  }

  held(): Held {
    return heldBy(this.path);
  }

  /** Its processes have been told to end; those that have not by then are killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    const late = performance.now() + EMPTY_MS;
    for (;;) {
      const pids = processesBelow(this.path);
      if (pids.length === 0 && (await removed(this.path))) return;
      if (performance.now() > late) for (const pid of pids) process.kill(pid, "SIGKILL");
      await delay(LOOK_MS);
    }
  }
}

/** What the memory cgroup of a process holds, with all that is below it; undefined without such a cgroup. */
export function heldWith(pid: number): Held | undefined {
  const own = cgroupsOf(pid).find(({ controllers, path }) =>
    controllers.length === 0 ? hasPeak(path) : controllers.includes("memory"),
  );
  return own && heldBy(own.path);
}

function heldBy(path: string): Held {
  const pids = processesBelow(path);
  const peak = PEAKS.map((file) => numberIn(join(path, file))).find((bytes) => bytes !== undefined);
  if (peak === undefined) throw new Error(`${path} does not tell its peak`);
  return {
    peakKiB: peak / KIB,
    processes: pids.length,
    pssKiB: pids.reduce((sum, pid) => sum + readProcessMemory(pid).pss, 0),
  };
}

const hasPeak = (path: string): boolean => PEAKS.some((file) => numberIn(join(path, file)) !== undefined);

function numberIn(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function processesBelow(path: string): number[] {
  const own = readFileSync(join(path, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...own, ...below.flatMap(({ name }) => processesBelow(join(path, name)))];
}

/** A process that has just ended may keep its cgroup for a moment more. */
async function removed(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EBUSY") return false;
    throw error;
  }
}
