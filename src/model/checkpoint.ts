import type { CheckpointId, SandboxId } from "./ids.ts";
import type { Sandbox } from "./sandbox.ts";

/** Where the bytes of an upper that can be checkpointed are: in memory they end with the machine's run. */
export type Medium = "memory" | "disk";

/** What a checkpoint was made for. */
export type CheckpointCause =
  | { readonly type: "asked" }
  /** Before a command was started. */
  | { readonly type: "exec"; readonly command: string }
  | { readonly type: "fork" }
  /** Before another point took its place. */
  | { readonly type: "restore" }
  /** Before another's changes were merged into it. */
  | { readonly type: "merge" }
  /** As it was merged into another. */
  | { readonly type: "merged" };

export type CheckpointState = "making" | "ready" | "removing" | "lost";

/** What a sandbox had written at one moment. */
export interface Checkpoint {
  readonly id: CheckpointId;
  /** A name that its sandbox has given it; one without a name goes when room is needed, or with its sandbox. */
  readonly name: string | null;
  readonly state: CheckpointState;
  readonly cause: CheckpointCause;
  /** The point that its sandbox stood on before. */
  readonly parent: CheckpointId | null;
  readonly createdAt: Date;
  readonly medium: Medium;
  /** Its sandbox as it was then, from which forks are made. */
  readonly origin: Sandbox;
  /** Digests of the layers that it was written on, bottom first. */
  readonly digests: readonly string[];
}

/** When checkpoints are made without being asked for, and how many of them are kept. */
export interface AutomaticCheckpoints {
  readonly when: "per-exec";
  readonly keep: number;
}

/** What the upper of a sandbox has come from. */
export interface Lineage {
  /** Counts the uppers that it has had: each restore gives it another. */
  readonly revision: number;
  /** The checkpoint that was made of its upper last, or that this was made from. */
  readonly head: CheckpointId | null;
  /** Whether something may have been written since a restore to `head`. */
  readonly changed: boolean;
  readonly forkedFrom: { readonly sandbox: SandboxId; readonly checkpoint: CheckpointId } | null;
  /** Points whose changes it holds because they were merged into it. */
  readonly merged: readonly CheckpointId[];
  readonly automatic: AutomaticCheckpoints | null;
}

/** What may be asked for of checkpoints. */
export const CHECKPOINT_BOUNDS = { forks: 100, keep: { min: 1, max: 1000 }, keepByDefault: 256 } as const;

/** One thing that is done with the subvolumes of a pool; docs/protocol.md §5. Paths are absolute. */
export type PoolStep =
  | { readonly do: "limit"; readonly path: string; readonly group: number; readonly bytes?: number }
  | { readonly do: "create"; readonly path: string; readonly group: number }
  | {
      readonly do: "snapshot";
      readonly source: string;
      readonly path: string;
      readonly group: number;
      readonly readOnly: boolean;
    }
  | { readonly do: "delete"; readonly path: string }
  | { readonly do: "prune"; readonly path: string };
