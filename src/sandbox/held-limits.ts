import { PlyboxError } from "../model/errors.ts";
import type { CgroupLimit, Limits } from "../model/sandbox.ts";
import type { CgroupLayout } from "./cgroup-layout.ts";

const CONTROLLERS = {
  memoryBytes: "memory",
  pids: "pids",
  cpus: "cpu",
  cpuWeight: "cpu",
} as const satisfies Record<CgroupLimit, string>;

/**
 * Refuses limits that were asked for and that nothing here can hold; what is a default goes unheld then.
 * @throws PlyboxError `host/missing` naming the limit
 */
export function requireHeld(layout: CgroupLayout, asked: Partial<Limits> = {}): void {
  const limit = unheldLimits(layout).find((each) => asked[each] !== undefined);
  if (limit === undefined) return;
  const message = `limits.${limit} cannot be held: Plybox has no cgroup with the controller ${CONTROLLERS[limit]} here`;
  throw new PlyboxError("host/missing", message, { field: `limits.${limit}` });
}

/** The limits that nothing here can hold. */
export function unheldLimits(layout: CgroupLayout): readonly CgroupLimit[] {
  if (layout.version === 2) return [];
  const limits = Object.keys(CONTROLLERS) as CgroupLimit[];
  return limits.filter((limit) => !layout.roots.has(CONTROLLERS[limit]));
}
