import type { PoolStep } from "../model/checkpoint.ts";
import type { Graft } from "../model/graft.ts";
import type { Ground, LaunchPlan } from "../model/launch-plan.ts";
import type { ImageFormat } from "../model/layer.ts";
import { integer, matching, nullable, object, oneOf, text } from "./strict-reader.ts";

/** Names a host process for good: `startTime` is field 22 of `/proc/PID/stat`. */
export interface ProcessName {
  readonly pid: number;
  readonly startTime: number;
}

/** What the launcher can be asked, docs/protocol.md §5. */
export type LauncherRequest =
  | { readonly type: "launch"; readonly plan: LaunchPlan }
  | ({ readonly type: "expect" } & Ground)
  | ({ readonly type: "adopt" } & ProcessName)
  | ({
      readonly type: "destroy";
      readonly cgroups: readonly string[];
      readonly unmount: readonly string[];
      readonly remove: readonly string[];
      /** Tests only: this step fails with EIO. */
      readonly failAt?: string;
    } & ProcessName)
  | { readonly type: "mount-image"; readonly image: string; readonly format: ImageFormat; readonly target: string }
  | { readonly type: "mount-memory"; readonly target: string; readonly bytes: number }
  | { readonly type: "mount-pool"; readonly image: string; readonly target: string }
  | { readonly type: "subvolumes"; readonly steps: readonly PoolStep[] }
  | ({ readonly type: "graft" } & ProcessName & Graft)
  | { readonly type: "unmount"; readonly target: string }
  | {
      readonly type: "probe";
      readonly what: "idmap" | "overlay" | "namespaces" | "loop" | "landlock";
      readonly path: string;
    };

export interface LaunchAck extends ProcessName {
  /** `NAME:MICROSECONDS`, with spaces between. */
  readonly steps: string;
}

/** How a sandbox's PID 1 ended; both null where the kernel cannot tell. */
export interface SandboxExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** The agent's socket takes connections. */
export const readLaunchProgress = object<{ readonly listening: true }>({ listening: oneOf(true) });

export const readLaunchAck = object<LaunchAck>({
  pid: integer(1, 2 ** 31 - 1),
  startTime: integer(0),
  steps: text(4096),
});

export const readSandboxExit = object<SandboxExit>({
  code: nullable(integer(0, 255)),
  signal: nullable(matching(/^SIG[A-Z0-9+]{1,16}$/)),
});
