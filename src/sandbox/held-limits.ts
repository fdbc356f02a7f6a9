import { PlyboxError } from "../model/errors.ts";
import type { Limits } from "../model/sandbox.ts";
import type { CgroupLayout } from "./cgroup-layout.ts";

/** Limits of files are held by every process itself. */
type HeldByCgroups = Exclude<keyof Limits, "openFiles" | "fileSizeBytes">;

const CONTROLLERS = {
  memoryBytes: "memory",
  pids: "pids",
  cpus: "cpu",
  cpuWeight: "cpu",
} as const satisfies Record<HeldByCgroups, string>;

/**
 * Refuses limits that were asked for and that nothing here can hold; what is a default goes unheld then.
 * @throws PlyboxError `host/missing` naming the limit
 */
export function requireHeld(layout: CgroupLayout, asked: Partial<Limits> = {}): void {
  if (layout.version === 2) return;
  for (const [limit, controller] of Object.entries(CONTROLLERS)) {
    if (asked[limit as keyof Limits] === undefined || layout.roots.has(controller)) continue;
    const message = `limits.${limit} cannot be held: Plybox has no cgroup with the controller ${controller} here`;
    throw new PlyboxError("host/missing", message, { field: `limits.${limit}` });
  }
}
