import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { SandboxId } from "../../model/ids.ts";
import { isSandboxId } from "../../model/ids.ts";
import { parentsOf } from "../cgroup-layout.ts";
import { tracesOf } from "../launch-plan.ts";
import type { LifecycleContext } from "./context.ts";

/**
 * Takes away what is in this daemon's own places and in no registry, as after the registry was lost: processes, cgroups,
 * uppers in memory, sockets. What was written to disk may be all that somebody has of it, and is only told of. To be
 * called when every sandbox of the registry is known, and before any is made.
 */
export async function sweepUnknown({ live, places, backend, log }: LifecycleContext): Promise<void> {
  const isUnknown = (id: SandboxId): boolean => live.get(id) === undefined;
  const parents = parentsOf(places.cgroups, places.cgroupParent, undefined);
  const found = [places.sockets, places.uppers, ...parents].flatMap((directory) => [
    ...sandboxesIn(directory).values(),
  ]);
  await Promise.all(
    [...new Set(found)].filter(isUnknown).map(async (sandbox) => {
      try {
        await backend.discard(tracesOf(sandbox, places));
        log.warn({ sandbox }, "took away what was left of a sandbox that the registry does not know");
      } catch (err) {
        log.warn({ sandbox, err }, "what is left of a sandbox that the registry does not know stays");
      }
    }),
  );
  for (const [path, id] of sandboxesIn(places.disks)) {
    if (isUnknown(id)) log.warn({ path }, "the registry does not know the sandbox that wrote this; remove it by hand");
  }
}

/** The ids that files and directories bear here, by their paths; anything else is not ours. */
function sandboxesIn(directory: string): ReadonlyMap<string, SandboxId> {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch {
    return new Map();
  }
  const ids = names.map((name) => [join(directory, name), name.replace(/\.(?:sock|ext4)$/, "")] as const);
  return new Map(ids.filter((each): each is readonly [string, SandboxId] => isSandboxId(each[1])));
}
