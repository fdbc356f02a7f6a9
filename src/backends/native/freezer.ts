import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PlyboxError } from "../../model/errors.ts";
import type { Traces } from "../backend.ts";

/**
 * Stops and continues all processes of a sandbox at once. Version 1 has a hierarchy of its own for it, which a sandbox
 * joins when it is first paused: so its creation costs nothing more.
 */
export interface Freezer {
  /** Resolves when every process is frozen. Harmless when they are. Throws `launcher/failed`. */
  freeze(): Promise<void>;
  /** Resolves when they run. Harmless when they do. */
  thaw(): Promise<void>;
  /** Kills what is frozen, which would otherwise not end. */
  kill(): void;
  /** The cgroup that the sandbox has for this alone, where there is one now. */
  readonly cgroup: string | undefined;
}

/** How this machine freezes: by version 2, or by version 1 with the directory for the cgroups of all sandboxes. */
export type FreezerPlace = { readonly version: 2 } | { readonly version: 1; readonly directory: string };

/** How long processes may take to freeze: one that waits for a broken disk never does. */
const PATIENCE_MS = 10_000;

/**
 * @param fault tests only: called before each step, which fails with what it throws
 */
export function freezerOf(
  { id, cgroups }: Traces,
  place: FreezerPlace | undefined,
  fault: (step: string) => void = () => {},
): Freezer | undefined {
  // Every cgroup of a sandbox holds all its processes.
  const [tracked] = cgroups;
  if (tracked === undefined || place === undefined) return undefined;
  const step: Step = async (name, work) => {
    try {
      fault(name);
      await work();
    } catch (error) {
      throw failedStep(name, error);
    }
  };
  return place.version === 2
    ? freezerOfVersion2(tracked.path, step)
    : freezerOfVersion1(join(place.directory, id), tracked.path, step);
}

/** Does one thing, whose failure names it. Throws `launcher/failed`. */
type Step = (name: string, work: () => Promise<unknown>) => Promise<void>;

function failedStep(step: string, error: unknown): PlyboxError {
  if (error instanceof PlyboxError) return error;
  const { message, code } = error as NodeJS.ErrnoException;
  const errno = code === undefined ? {} : { errno: code };
  return new PlyboxError("launcher/failed", `${step}: ${message}`, { step, ...errno, cause: error });
}

function freezerOfVersion1(path: string, tracked: string, step: Step): Freezer {
  const stateFile = join(path, "freezer.state");
  const settle = (state: "FROZEN" | "THAWED"): Promise<void> =>
    until(async () => (await readFile(stateFile, "utf8")).trim() === state);
  return {
    async freeze() {
      await step("freezer-cgroup", () => mkdir(path, { recursive: true }));
      try {
        // First, so that what has moved cannot start others: the passes below come to an end.
        await step("freeze", () => writeFile(stateFile, "FROZEN"));
        await step("freezer-move", () => moveAll(tracked, path));
        await step("freeze-all", () => writeFile(stateFile, "FROZEN"));
        await step("freeze-wait", () => settle("FROZEN"));
      } catch (error) {
        await writeFile(stateFile, "THAWED");
        throw error;
      }
    },
    async thaw() {
      if (!existsSync(path)) return;
      await step("thaw", () => writeFile(stateFile, "THAWED"));
      await step("thaw-wait", () => settle("THAWED"));
    },
    kill() {
      if (!existsSync(path)) return;
      killAll(path);
      // A frozen process does not even die.
      writeFileSync(stateFile, "THAWED");
    },
    get cgroup() {
      return existsSync(path) ? path : undefined;
    },
  };
}

/** Moves whatever is below one cgroup into another, until a look finds nothing outside. */
async function moveAll(from: string, to: string): Promise<void> {
  const move = (pid: number): Promise<void> => writeFile(join(to, "cgroup.procs"), String(pid)).catch(unlessGone);
  await until(async () => {
    for (;;) {
      const moved = new Set(pidsOf(to));
      const outside = pidsBelow(from).filter((pid) => !moved.has(pid));
      if (outside.length === 0) return true;
      await Promise.all(outside.map(move));
      // One that is ending is not moved, and is gone soon.
      if (pidsOf(to).length <= moved.size) return false;
    }
  });
}

function freezerOfVersion2(path: string, step: Step): Freezer {
  const enter = async (name: string, frozen: 0 | 1): Promise<void> => {
    await step(name, () => writeFile(join(path, "cgroup.freeze"), String(frozen)));
    const isSo = async () => (await readFile(join(path, "cgroup.events"), "utf8")).includes(`frozen ${frozen}\n`);
    await step(`${name}-wait`, () => until(isSo));
  };
  return {
    async freeze() {
      try {
        await enter("freeze", 1);
      } catch (error) {
        await writeFile(join(path, "cgroup.freeze"), "0");
        throw error;
      }
    },
    thaw: () => enter("thaw", 0),
    // Version 2 lets a frozen process die.
    kill: () => {},
    cgroup: undefined,
  };
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let pauseMs = 0; !(await isSo()); pauseMs = Math.min(50, pauseMs + 1)) {
    if (performance.now() > deadline) {
      throw new PlyboxError("launcher/failed", "a process cannot be frozen", { step: "freeze", errno: "EBUSY" });
    }
    await delay(pauseMs);
  }
}

function unlessGone(error: NodeJS.ErrnoException): void {
  if (error.code !== "ESRCH") throw error;
}

/** Kills what a cgroup and those below it hold; one that is gone holds nothing. */
export function killAll(cgroup: string): void {
  for (const pid of pidsBelow(cgroup)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Pids of a cgroup and of those below it. */
function pidsBelow(cgroup: string): readonly number[] {
  return [...childrenOf(cgroup).flatMap((name) => pidsBelow(join(cgroup, name))), ...pidsOf(cgroup)];
}

function childrenOf(cgroup: string): readonly string[] {
  try {
    return readdirSync(cgroup, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

function pidsOf(cgroup: string): readonly number[] {
  try {
    return readFileSync(join(cgroup, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
