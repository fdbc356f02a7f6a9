import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import { cgroupsWith } from "./traces.ts";

/** A sandbox that nobody has asked for yet. */
export interface Begun {
  readonly id: string;
  /** Of its first process. */
  readonly pid: number;
}

/** What the launcher of the daemon with this run directory has begun ahead; undefined while there is none. */
export const begunOf = (runDir: string): Begun | undefined => begunIn(cgroupsWith(`${cgroupParentOf(runDir)}/`));

/** That of it which one of these cgroups is of. */
export function begunIn(cgroups: readonly string[]): Begun | undefined {
  for (const cgroup of cgroups) {
    try {
      const pid = Number(readFileSync(join(cgroup, "cgroup.procs"), "utf8").split("\n")[0]);
      if (pid > 0 && readFileSync(`/proc/${pid}/comm`, "utf8") === "plylaunch\n") return { id: basename(cgroup), pid };
    } catch {
      // It went since.
    }
  }
  return undefined;
}
