import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { LaunchPlan, UpperMount } from "../../model/launch-plan.ts";
import type { Usage } from "../../model/usage.ts";
import { cgroupUsage } from "./cgroup-usage.ts";
import { readSmallFile } from "./small-file.ts";

/** Reads what the sandbox of `plan`, whose PID 1 is `pid` on the host, takes from the machine. */
export function sandboxUsage({ cgroups, root }: Pick<LaunchPlan, "cgroups" | "root">, pid: number): () => Usage {
  const counted = cgroupUsage(cgroups);
  const upperBytes = upperUsage(root.upper);
  return () => ({
    ...counted(),
    upperBytes: upperBytes(),
    network: networkOf(readSmallFile(`/proc/${pid}/net/dev`)),
  });
}

/** A file system of the upper's own knows what it holds. A directory on disk has to be walked, which is not done in passing. */
function upperUsage({ kind, path }: UpperMount): () => number | null {
  if (kind === "disk") return () => null;
  let isMounted: boolean | undefined;
  return () => {
    try {
      // A launcher with mounts of its own keeps the upper there, and what is here is the directory below it.
      isMounted ??= statSync(path).dev !== statSync(dirname(path)).dev;
      if (!isMounted) return null;
      const { blocks, bfree, bsize } = statfsSync(path);
      return (blocks - bfree) * bsize;
    } catch {
      return null;
    }
  };
}

/** Sums a table like /proc/PID/net/dev: two lines of headings, then `name: received… sent…` with eight columns each. */
export function networkOf(table: string | undefined): Usage["network"] {
  const interfaces = (table ?? "")
    .split("\n")
    .slice(2)
    .map((line) => line.trim().split(/[\s:]+/))
    .filter(([name = "lo", ...counters]) => name !== "lo" && counters.length >= 16);
  if (interfaces.length === 0) return null;
  const sum = (column: number): number => interfaces.reduce((total, line) => total + Number(line[column]), 0);
  return { receivedBytes: sum(1), sentBytes: sum(9) };
}
