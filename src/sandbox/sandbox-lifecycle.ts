import type { SandboxName } from "../model/ids.ts";
import type { OnExpire, Sandbox } from "../model/sandbox.ts";

/** What may change in a sandbox that exists; what is absent stays. */
export interface SandboxChanges {
  /** Null takes the name away. */
  readonly name?: SandboxName | null;
  /** Null takes a label away; those that are not named stay. */
  readonly labels?: Readonly<Record<string, string | null>>;
  /** From now on; null for a life without end. */
  readonly lifetimeMs?: number | null;
  readonly idleMs?: number | null;
  readonly idleCountsCommands?: boolean;
  readonly onExpire?: OnExpire;
  readonly resumeOnDemand?: boolean;
}

/**
 * The life of a sandbox between its creation and its removal. Each method does its work after what was begun with the
 * same sandbox before, and answers the sandbox as it is then; what is already as it is asked for is not an error.
 * `ref` is an id or a name. Every method throws PlyboxError: `sandbox/not-found`, `sandbox/wrong-state`,
 * `sandbox/paused`, `sandbox/lost`.
 */
export interface SandboxLifecycle {
  /** Freezes its processes. Throws `host/missing` where this machine cannot. */
  pause(ref: string): Promise<Sandbox>;
  resume(ref: string): Promise<Sandbox>;
  /** Ends its processes and keeps what it wrote. */
  stop(ref: string): Promise<Sandbox>;
  /** Starts it again on what it wrote. Throws `sandbox/launch-failed`. */
  start(ref: string): Promise<Sandbox>;
  /** Stops it, where it runs, and starts it again. */
  restart(ref: string): Promise<Sandbox>;
  /** Throws `sandbox/name-taken`. */
  update(ref: string, changes: SandboxChanges): Promise<Sandbox>;
  /**
   * Waits until its ready probe has succeeded; one without a probe is ready when it runs.
   * @throws PlyboxError `sandbox/not-ready` when the probe gave up, `sandbox/wrong-state` when it ends before
   */
  waitReady(ref: string, signal?: AbortSignal): Promise<Sandbox>;
}
