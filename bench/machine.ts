import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const KIB = 1024;
const STEADY_READINGS = 4;
const STEADY_KIB = 256;
const READ_EVERY_MS = 50;
const GIVE_UP_MS = 5000;

/** Lines of `Name: value kB`, as /proc writes them: KiB by name. */
export function parseKiB(text: string): Map<string, number> {
  return new Map(
    [...text.matchAll(/^(\w+(?:\(\w+\))?):\s+(\d+) kB$/gm)].map(([, name = "", kib]) => [name, Number(kib)]),
  );
}

/** /proc/meminfo, in KiB, with the counts that each processor still holds added up first. */
function readMemory(): Map<string, number> {
  writeFileSync("/proc/sys/vm/stat_refresh", "1");
  return parseKiB(readFileSync("/proc/meminfo", "utf8"));
}

/**
 * /proc/meminfo once MemAvailable has stopped moving, which the kernel's own clearing up makes it do for a while; after
 * some seconds as it is then.
 */
export async function readSteadyMemory(signal: AbortSignal): Promise<Map<string, number>> {
  const giveUp = performance.now() + GIVE_UP_MS;
  const recent: number[] = [];
  for (;;) {
    const memory = readMemory();
    recent.push(memory.get("MemAvailable") ?? 0);
    if (recent.length > STEADY_READINGS) recent.shift();
    const isSteady = recent.length === STEADY_READINGS && Math.max(...recent) - Math.min(...recent) <= STEADY_KIB;
    if (isSteady || performance.now() > giveUp) return memory;
    await delay(READ_EVERY_MS, undefined, { signal });
  }
}

/** What a process holds in memory, in KiB. */
export interface ProcessMemory {
  /** Every resident page. */
  readonly rss: number;
  /** A shared page counts by its share. */
  readonly pss: number;
  /** Pages that nobody else has. */
  readonly own: number;
}

export function readProcessMemory(pid: number): ProcessMemory {
  const rollup = parseKiB(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  const status = parseKiB(readFileSync(`/proc/${pid}/status`, "utf8"));
  return {
    rss: status.get("VmRSS") ?? 0,
    pss: rollup.get("Pss") ?? 0,
    own: (rollup.get("Private_Clean") ?? 0) + (rollup.get("Private_Dirty") ?? 0),
  };
}

/** Resolves when a process has ended, reaped or not; fails when it goes on for long. */
export async function processEnd(pid: number): Promise<void> {
  const giveUp = performance.now() + GIVE_UP_MS;
  while (isLiving(pid)) {
    if (performance.now() > giveUp) throw new Error(`process ${pid} does not end`);
    await delay(READ_EVERY_MS);
  }
}

function isLiving(pid: number): boolean {
  try {
    // The state follows the program's name, which may hold anything but ends with the last parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.charAt(stat.lastIndexOf(")") + 2) !== "Z";
  } catch {
    return false;
  }
}

/** Its children, but for those that have ended and wait to be reaped: of these nothing is in memory. */
export function childrenOf(pid: number): number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  const children = threads.flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
  return children.filter(isLiving);
}

/** The directories of the process's cgroups, of both versions, by controllers; version 2 has none in its name. */
export function cgroupsOf(pid: number): { readonly controllers: readonly string[]; readonly path: string }[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").matchAll(/^\d+:([^:]*):(.*)$/gm);
  return [...lines].map(([, names = "", path = ""]) => ({
    controllers: names.split(",").filter(Boolean),
    path: join("/sys/fs/cgroup", names, path),
  }));
}

/** What the process's memory cgroup and those below it are charged, in KiB; undefined without such a cgroup. */
export function readCharged(pid: number): number | undefined {
  for (const { controllers, path } of cgroupsOf(pid)) {
    const isV2 = controllers.length === 0;
    if (!isV2 && !controllers.includes("memory")) continue;
    const bytes = readNumber(join(path, isV2 ? "memory.current" : "memory.usage_in_bytes"));
    if (bytes !== undefined) return bytes / KIB;
  }
  return undefined;
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
