import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FreezerPlace } from "../backends/native/freezer.ts";
import { PlyboxError } from "../model/errors.ts";
import type { SandboxId } from "../model/ids.ts";
import type { CgroupPlan } from "../model/launch-plan.ts";
import type { Limits } from "../model/sandbox.ts";

/** Where the cgroups of sandboxes are on this machine, and which limits they can hold. */
export type CgroupLayout =
  | { readonly version: 2; readonly root: string }
  /** Version 1 has a hierarchy a controller; one that is missing holds no limit. */
  | { readonly version: 1; readonly roots: ReadonlyMap<Controller, string> };

type Controller = "memory" | "pids" | "cpu" | "cpuacct";
const CONTROLLERS: readonly Controller[] = ["memory", "pids", "cpu"];
/** How often processes are moved out of a cgroup before it counts as one that cannot be emptied. */
const PASSES = 8;
const CPU_PERIOD_US = 100_000;
/** What version 1 calls an ordinary share where version 2 has a weight of 100. */
const SHARES_PER_WEIGHT = 1024 / 100;

/** Reads a mount table such as /proc/mounts. Version 2 goes first, where it has all the controllers. */
export function findCgroups(mounts: string): CgroupLayout {
  const roots = new Map<Controller, string>();
  for (const line of mounts.split("\n")) {
    const [, path = "", type, options = ""] = line.split(" ");
    if (type === "cgroup2" && controllersOf(path).length === CONTROLLERS.length) return { version: 2, root: path };
    if (type !== "cgroup") continue;
    const words = options.split(",");
    for (const controller of CONTROLLERS) {
      // The first: a later mount may show only a part of the hierarchy.
      if (words.includes(controller) && !roots.has(controller)) roots.set(controller, path);
    }
    // It limits nothing but counts the time that version 2's cpu counts; mostly it shares cpu's hierarchy.
    if (words.includes("cpuacct") && !words.includes("cpu") && !roots.has("cpuacct")) roots.set("cpuacct", path);
  }
  return { version: 1, roots };
}

/** How processes are frozen where sandboxes have these cgroups; undefined where they cannot be. */
export function findFreezer(mounts: string, layout: CgroupLayout, parent: string): FreezerPlace | undefined {
  if (layout.version === 2) return { version: 2 };
  for (const line of mounts.split("\n")) {
    const [, path = "", type, options = ""] = line.split(" ");
    if (type === "cgroup" && options.split(",").includes("freezer"))
      return { version: 1, directory: join(path, parent) };
  }
  return undefined;
}

function controllersOf(root: string): readonly Controller[] {
  const file = join(root, "cgroup.controllers");
  const words = existsSync(file) ? readFileSync(file, "utf8").trim().split(" ") : [];
  return CONTROLLERS.filter((controller) => words.includes(controller));
}

/**
 * Makes the cgroup `parent` that the sandboxes' are below.
 * @throws PlyboxError `host/missing` when version 2 refuses the controllers for the sake of processes that stay
 */
export function prepareCgroups(layout: CgroupLayout, parent: string): void {
  if (layout.version === 1) {
    for (const root of layout.roots.values()) mkdirSync(join(root, parent), { recursive: true });
    return;
  }
  const enable = CONTROLLERS.map((controller) => `+${controller}`).join(" ");
  let path = layout.root;
  // Controllers go down one level at a time.
  for (const part of ["", ...parent.split("/")]) {
    path = join(path, part);
    mkdirSync(path, { recursive: true });
    handOn(path, enable);
  }
}

/**
 * Hands the controllers on to the children of a cgroup of version 2. But for the machine's root, one that does may hold
 * no processes, and the one that a container takes for the root holds all of the container's: they move to a child.
 */
function handOn(path: string, enable: string): void {
  // What was being started during one pass is seen in the next.
  for (let pass = 1; ; pass++) {
    try {
      writeFileSync(join(path, "cgroup.subtree_control"), enable);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
      if (pass === PASSES) {
        const message = `the cgroup ${path} holds processes that cannot be moved, so it cannot have limited ones below it`;
        throw new PlyboxError("host/missing", message, { cause: error });
      }
    }
    moveProcesses(path, join(path, "init"));
  }
}

function moveProcesses(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const pid of readFileSync(join(from, "cgroup.procs"), "utf8").split("\n").filter(Boolean)) {
    try {
      writeFileSync(join(to, "cgroup.procs"), pid);
    } catch {
      // It has ended; one that stays shows in what the kernel says next.
    }
  }
}

/** Where the cgroup `parent` is, in each hierarchy. */
export function parentsOf(layout: CgroupLayout, parent: string, freezer: FreezerPlace | undefined): readonly string[] {
  const roots = layout.version === 2 ? [layout.root] : [...layout.roots.values()];
  return [...roots.map((root) => join(root, parent)), ...(freezer?.version === 1 ? [freezer.directory] : [])];
}

/** Removes the cgroup `parent` where no sandbox is below it any more. */
export function releaseCgroups(layout: CgroupLayout, parent: string, freezer: FreezerPlace | undefined): void {
  for (const path of parentsOf(layout, parent, freezer)) {
    try {
      rmdirSync(path);
    } catch {
      // Sandboxes that stay keep it.
    }
  }
}

/** Where the cgroups of one sandbox are, whatever its limits. */
export function cgroupPathsOf(layout: CgroupLayout, parent: string, id: SandboxId): readonly string[] {
  return parentsOf(layout, parent, undefined).map((path) => join(path, id));
}

type Setting = readonly [file: string, value: string];
export type CgroupLimits = Pick<Limits, "memoryBytes" | "pids" | "cpus" | "cpuWeight">;

/** The cgroups of one sandbox; without `limits` they are only made. */
export function planCgroups(layout: CgroupLayout, parent: string, id: SandboxId, limits?: CgroupLimits): CgroupPlan[] {
  if (layout.version === 2) {
    const above = join(layout.root, parent);
    const set = limits === undefined ? [] : versionTwo(above, limits);
    return [{ path: join(above, id), version: 2, set, roles: ["track", "memory"] }];
  }
  return [...layout.roots].map(([controller, root]) => {
    const above = join(root, parent);
    const set = limits === undefined ? [] : versionOne(controller, above, limits);
    return { path: join(above, id), version: 1, set, roles: ROLES[controller] };
  });
}

/** What the agent does with a hierarchy of version 1. */
const ROLES: Readonly<Record<Controller, CgroupPlan["roles"]>> = {
  memory: ["memory"],
  pids: ["track"],
  cpu: [],
  cpuacct: [],
};

function versionTwo(above: string, limits: CgroupLimits): readonly Setting[] {
  const { memoryBytes, pids, cpuWeight } = limits;
  return [
    ["memory.max", String(memoryBytes)],
    ...whereKnown(above, "memory.swap.max", "0"),
    ["pids.max", String(pids)],
    ["cpu.max", `${quotaOf(limits)} ${CPU_PERIOD_US}`],
    ["cpu.weight", String(cpuWeight)],
  ];
}

function versionOne(controller: Controller, above: string, limits: CgroupLimits): readonly Setting[] {
  const { memoryBytes, pids, cpuWeight } = limits;
  switch (controller) {
    case "memory":
      return [
        ["memory.limit_in_bytes", String(memoryBytes)],
        // Counts memory and swap together, and may not be below the first: the same means no swap.
        ...whereKnown(above, "memory.memsw.limit_in_bytes", String(memoryBytes)),
      ];
    case "pids":
      return [["pids.max", String(pids)]];
    case "cpu":
      return [
        ["cpu.cfs_period_us", String(CPU_PERIOD_US)],
        ["cpu.cfs_quota_us", quotaOf(limits)],
        ["cpu.shares", String(Math.max(2, Math.round(cpuWeight * SHARES_PER_WEIGHT)))],
      ];
    case "cpuacct":
      return [];
  }
}

/** The kernel takes no quota below 1 ms. */
const quotaOf = ({ cpus }: CgroupLimits): string => String(Math.max(1000, Math.round(cpus * CPU_PERIOD_US)));

/** Some files are there only where the kernel counts swap; what the parent has, its children have. */
function whereKnown(above: string, file: string, value: string): readonly Setting[] {
  const path = join(above, file);
  if (!found.has(path) && !existsSync(path)) return [];
  found.add(path);
  return [[file, value]];
}

/** Such files that are there: they stay for as long as the parent does. */
const found = new Set<string>();
