import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import type { TestDaemon } from "./test-daemon.ts";
import { cgroupsWith, mountsWith, processesWith } from "./traces.ts";

/** All that a daemon's sandboxes could have left on this machine; empty lists when it is nothing. */
export function remainsOf({ config }: { readonly config: Pick<TestDaemon["config"], "runDir" | "stateDir"> }) {
  const files = (directory: string): readonly string[] => (existsSync(directory) ? readdirSync(directory) : []);
  return {
    cgroups: cgroupsWith(`${cgroupParentOf(config.runDir)}/`),
    mounts: mountsWith(join(config.runDir, "uppers")),
    uppers: files(join(config.runDir, "uppers")),
    sockets: files(join(config.runDir, "s")),
    disks: files(join(config.stateDir, "uppers")),
  };
}

export const NOTHING = { cgroups: [], mounts: [], uppers: [], sockets: [], disks: [] };

/** Pids of the agents of these sandboxes that still run. */
export const agentsOf = (ids: readonly string[]): readonly number[] =>
  ids.flatMap((id) => processesWith(`--sandbox ${id}`));
