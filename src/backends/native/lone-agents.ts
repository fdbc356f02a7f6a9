import { readdirSync } from "node:fs";
import type { SandboxId } from "../../model/ids.ts";
import { readSmallFile } from "./small-file.ts";

/**
 * Kills the agents of a sandbox that no cgroup holds, found by what they were started with. Something else that bears
 * such a command line is a command of some sandbox that wants to be taken for it, and is no loss.
 */
export function killAgents(id: SandboxId, proc = "/proc"): void {
  const start = `plyagent\0--sandbox\0${id}\0`;
  for (const name of readdirSync(proc)) {
    if (!/^\d+$/.test(name) || readSmallFile(`${proc}/${name}/cmdline`)?.startsWith(start) !== true) continue;
    try {
      process.kill(Number(name), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}
