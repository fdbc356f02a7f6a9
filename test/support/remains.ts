import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import { begunIn } from "./begun.ts";
import type { TestDaemon } from "./test-daemon.ts";
import { cgroupsWith, mountsWith, processesWith } from "./traces.ts";

/**
 * How often to look whether the launcher has taken back a sandbox that it had begun, and begun another: looks and no
 * time, so that a machine that stands still counts once.
 */
const LOOKS = 400;
const LOOK_AGAIN_MS = 5;

/** All that a daemon's sandboxes could have left on this machine; empty lists when it is nothing. */
export function remainsOf({ config }: { readonly config: Pick<TestDaemon["config"], "runDir" | "stateDir"> }) {
  const files = (directory: string): readonly string[] => (existsSync(directory) ? readdirSync(directory) : []);
  return {
    cgroups: cgroupsBelow(config.runDir),
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

/** Those of sandboxes that were asked for. */
function cgroupsBelow(runDir: string): readonly string[] {
  for (let looks = LOOKS; ; looks--) {
    const cgroups = cgroupsWith(`${cgroupParentOf(runDir)}/`);
    const begun = begunIn(cgroups);
    const others = cgroups.filter((path) => basename(path) !== begun?.id);
    if (others.length === 0 || begun !== undefined || looks === 0) return others;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_AGAIN_MS);
  }
}
