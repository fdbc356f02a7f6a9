import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CgroupPlan } from "../../model/launch-plan.ts";
import type { Stall, Usage } from "../../model/usage.ts";
import { readSmallFile } from "./small-file.ts";

export type CgroupUsage = Pick<Usage, "cpuMs" | "memoryBytes" | "memoryPeakBytes" | "pids" | "oomKills" | "pressure">;

/** Reads what the cgroups of one sandbox have counted; a figure that none of them has is null. */
export function cgroupUsage(cgroups: readonly CgroupPlan[]): () => CgroupUsage {
  const [first] = cgroups;
  return first?.version === 2 ? versionTwo(first.path) : versionOne(cgroups.map(({ path }) => path));
}

/** Reads how many tasks the cgroups of one sandbox hold alone, which is a tenth of the work. */
export function cgroupTasks(cgroups: readonly Pick<CgroupPlan, "path">[]): () => number | null {
  let file: string | undefined;
  return () => {
    file ??= cgroups.map(({ path }) => join(path, "pids.current")).find((path) => existsSync(path));
    return file === undefined ? null : number(readSmallFile(file));
  };
}

function versionTwo(path: string): () => CgroupUsage {
  const file = (name: string): string => join(path, name);
  return () => ({
    cpuMs: thousandth(keyed(readSmallFile(file("cpu.stat")), "usage_usec")),
    memoryBytes: number(readSmallFile(file("memory.current"))),
    memoryPeakBytes: number(readSmallFile(file("memory.peak"))),
    pids: number(readSmallFile(file("pids.current"))),
    oomKills: keyed(readSmallFile(file("memory.events")), "oom_kill"),
    pressure: pressureOf(file),
  });
}

/** Version 1 has a hierarchy a controller, and which one has which file is found out at the first reading. */
function versionOne(paths: readonly string[]): () => CgroupUsage {
  const found = new Map<string, string | undefined>();
  const text = (name: string): string | undefined => {
    if (!found.has(name))
      found.set(
        name,
        paths.map((path) => join(path, name)).find((path) => existsSync(path)),
      );
    const path = found.get(name);
    return path === undefined ? undefined : readSmallFile(path);
  };
  return () => {
    const cpuNs = number(text("cpuacct.usage"));
    return {
      cpuMs: cpuNs === null ? null : cpuNs / 1e6,
      memoryBytes: number(text("memory.usage_in_bytes")),
      memoryPeakBytes: number(text("memory.max_usage_in_bytes")),
      pids: number(text("pids.current")),
      oomKills: keyed(text("memory.oom_control"), "oom_kill"),
      // Only version 2 knows it.
      pressure: null,
    };
  };
}

function pressureOf(file: (name: string) => string): Usage["pressure"] {
  const cpu = stallOf(readSmallFile(file("cpu.pressure")));
  // All three are there, or none: one option of the kernel makes them.
  if (cpu === null) return null;
  const memory = stallOf(readSmallFile(file("memory.pressure")));
  const io = stallOf(readSmallFile(file("io.pressure")));
  return memory === null || io === null ? null : { cpu, memory, io };
}

/** Reads `some avg10=0.00 … total=0` and `full …`; microseconds become milliseconds. */
export function stallOf(text: string | undefined): Stall | null {
  const line = (kind: string) => new RegExp(`^${kind} avg10=([0-9.]+) .*total=([0-9]+)$`, "m").exec(text ?? "");
  const [some, full] = [line("some"), line("full")];
  if (some === null) return null;
  return {
    someMs: Number(some[2]) / 1000,
    fullMs: Number(full?.[2] ?? 0) / 1000,
    someAvg10: Number(some[1]),
    fullAvg10: Number(full?.[1] ?? 0),
  };
}

function number(text: string | undefined): number | null {
  return text === undefined || !/^\d+\n?$/.test(text) ? null : Number(text);
}

/** The value of a line `key value`. */
function keyed(text: string | undefined, key: string): number | null {
  const match = new RegExp(`^${key} (\\d+)$`, "m").exec(text ?? "");
  return match === null ? null : Number(match[1]);
}

const thousandth = (value: number | null): number | null => (value === null ? null : value / 1000);
