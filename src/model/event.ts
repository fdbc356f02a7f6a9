import type { CheckpointCause } from "./checkpoint.ts";
import type { ExecReport } from "./exec.ts";
import type { CheckpointId, ExecId, SandboxId, SandboxName } from "./ids.ts";
import type { StateReason } from "./reason.ts";
import type { Labels, Sandbox, SandboxState } from "./sandbox.ts";
import type { PressureLevel, StorageKind } from "./storage.ts";

/** Something that happened to a sandbox. */
export type SandboxEvent = EventSubject & { readonly at: Date } & EventBody;

/** Something that happened to what all sandboxes share: nobody's but the operator's. */
export interface MachineEvent {
  readonly sandbox: null;
  readonly tenant: "";
  readonly name: null;
  readonly labels: Labels;
  readonly at: Date;
  readonly type: "storage.pressure";
  readonly storage: StorageKind;
  readonly level: PressureLevel;
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** The sandbox as it was then. */
export interface EventSubject {
  readonly sandbox: SandboxId;
  readonly tenant: string;
  readonly name: SandboxName | null;
  readonly labels: Labels;
}

/** What has happened to the sandbox just now. */
export const eventOf = ({ id, tenant, name, labels }: Sandbox, body: EventBody): SandboxEvent =>
  // Every command has two events, and two spreads take many times as long (docs/decisions/0024-what-an-exec-takes.md).
  Object.assign({ sandbox: id, tenant, name, labels, at: new Date() }, body);

/** What happened; `type` is what subscribers filter by. */
export type EventBody =
  /** It entered a state; `reason` says why where the state has one. */
  | { readonly type: "sandbox.state"; readonly state: SandboxState; readonly reason: StateReason | null }
  /** Its ready probe has succeeded. */
  | { readonly type: "sandbox.ready" }
  | { readonly type: "exec.started"; readonly exec: ExecId; readonly by: string }
  | { readonly type: "exec.ended"; readonly exec: ExecId; readonly report: ExecReport }
  /** A limit of the sandbox or of one command ended something. */
  | { readonly type: "limit.reached"; readonly limit: string; readonly exec: ExecId | null }
  /** A file was written, moved or removed through the API. */
  | { readonly type: "file.changed"; readonly change: "written" | "moved" | "removed"; readonly path: string }
  | {
      readonly type: "checkpoint.taken";
      readonly checkpoint: CheckpointId;
      readonly checkpointName: string | null;
      readonly cause: CheckpointCause["type"];
    }
  /** An upper, or what all share, has become so full, or less so. */
  | {
      readonly type: "storage.pressure";
      readonly storage: StorageKind;
      readonly level: PressureLevel;
      readonly usedBytes: number;
      readonly totalBytes: number;
    }
  /** It stands on other layers; `changed` are those that it has more, or less. */
  | {
      readonly type: "layers.changed";
      readonly changed: readonly string[];
      readonly processes: "kept" | "ended" | "none";
    }
  /** Object storage has what it has written. */
  | { readonly type: "sandbox.saved"; readonly bytes: number }
  | { readonly type: "checkpoint.removed"; readonly checkpoint: CheckpointId }
  /** The sandbox holds what a checkpoint holds; `before` has what it held. */
  | {
      readonly type: "checkpoint.restored";
      readonly checkpoint: CheckpointId;
      readonly before: CheckpointId | null;
    }
  /** Sandboxes were made of a checkpoint of this one. */
  | { readonly type: "checkpoint.forked"; readonly checkpoint: CheckpointId; readonly forks: readonly SandboxId[] }
  /** It holds what another, `from`, had changed; `before` has what it held. */
  | { readonly type: "checkpoint.merged"; readonly from: string; readonly before: CheckpointId | null };

/** Every type that there is. */
export const EVENT_TYPES = Object.keys({
  "sandbox.state": true,
  "sandbox.ready": true,
  "exec.started": true,
  "exec.ended": true,
  "limit.reached": true,
  "file.changed": true,
  "storage.pressure": true,
  "layers.changed": true,
  "sandbox.saved": true,
  "checkpoint.taken": true,
  "checkpoint.removed": true,
  "checkpoint.restored": true,
  "checkpoint.forked": true,
  "checkpoint.merged": true,
} satisfies Record<EventBody["type"], true>) as readonly EventBody["type"][];

/** An event as the log keeps it and everybody outside is told of it. */
export interface LoggedEvent extends Omit<EventSubject, "sandbox"> {
  /** Null: it is about what all sandboxes share. */
  readonly sandbox: SandboxId | null;
  /** Counts up from 1 for all events of this daemon, whatever they are about, and goes on after a restart. */
  readonly id: number;
  readonly type: EventBody["type"];
  readonly at: Date;
  /** What is known of it, by its type: JSON. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Events `[from, to]` are not kept any more, or were lost. */
export interface EventGap {
  readonly from: number;
  readonly to: number;
}

/** Types by name, and all those of an area that is given as `exec.*`. */
export const expandTypes = (words: readonly string[]): readonly string[] =>
  EVENT_TYPES.filter((type) => words.includes(type) || words.includes(`${type.split(".")[0]}.*`));
