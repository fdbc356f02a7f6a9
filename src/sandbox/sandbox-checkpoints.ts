import type { Checkpoint } from "../model/checkpoint.ts";
import type { CheckpointId } from "../model/ids.ts";
import type { Sandbox } from "../model/sandbox.ts";
import type { Capture, CaptureWish } from "./checkpoints/capturing.ts";
import type { Comparison, ComparisonWish } from "./checkpoints/comparing.ts";
import type { ForkWish } from "./checkpoints/forking.ts";
import type { Merge, MergeWish } from "./checkpoints/merging.ts";
import type { PackWish } from "./checkpoints/packing.ts";
import type { Restoration } from "./checkpoints/restoring.ts";
import type { CheckpointWish, TakenCheckpoint } from "./checkpoints/taking.ts";

/** What a sandbox can go back to. */
export interface Timeline {
  readonly sandbox: Sandbox;
  /** Oldest first. */
  readonly checkpoints: readonly Checkpoint[];
}

/** How a checkpoint is packed. */
export interface Packed {
  /** Of the file that it is in. */
  readonly bytes: number;
  /** Whether the file has all of it, and nothing in the pool is needed for it. */
  readonly whole: boolean;
  /** Whether it is in the pool besides, as one that was unpacked is for a while. */
  readonly inPool: boolean;
}

export interface Forked {
  readonly sandboxes: readonly Sandbox[];
  /** Whether the checkpoint had to be unpacked for it. */
  readonly unpacked: boolean;
}

export interface Restored extends Restoration {
  readonly sandbox: Sandbox;
  /** Whether the checkpoint had to be unpacked for it. */
  readonly unpacked: boolean;
}

/**
 * What sandboxes were, and can be again. `ref` is an id or a name, `point` the id of a checkpoint, or the name of one
 * that the sandbox can go back to. Every method throws PlyboxError: `sandbox/not-found`, `checkpoint/not-found`,
 * `checkpoint/unsupported`, `checkpoint/lost`.
 */
export interface SandboxCheckpoints {
  /** Throws `checkpoint/name-taken`, `checkpoint/no-space`. */
  checkpoint(ref: string, wish?: Pick<CheckpointWish, "name" | "freeze">): Promise<TakenCheckpoint>;
  timeline(ref: string): Timeline;
  /** All that there are, oldest first. */
  list(): readonly Checkpoint[];
  find(point: string): Checkpoint;
  /** Null where it is not. */
  packed(checkpoint: Checkpoint): Packed | null;
  /**
   * Packs one into a file and takes it out of its pool; answers it as it is then. Throws `checkpoint/no-space`,
   * `checkpoint/packing-failed`, `host/missing`, `aborted`.
   */
  pack(id: CheckpointId, wish: PackWish): Promise<Checkpoint>;
  /** Removes one; what came from it stays. */
  drop(id: CheckpointId): Promise<void>;
  /** Makes sandboxes of what one holds now, or held at a point. */
  fork(
    ref: string,
    wish: ForkWish & { readonly from?: string; readonly freeze?: boolean },
    signal?: AbortSignal,
  ): Promise<TakenCheckpoint & Forked>;
  /** Makes sandboxes of a checkpoint, whose own sandbox may be gone. */
  forkPoint(id: CheckpointId, wish: ForkWish, signal?: AbortSignal): Promise<Forked>;
  /** What differs between two points; between one and what the sandbox holds now where there is no `to`. */
  compare(
    ref: string,
    points: { readonly from: string; readonly to?: string },
    wish: ComparisonWish,
  ): Promise<Comparison & { readonly from: Checkpoint; readonly to: Checkpoint | null }>;
  /** Throws `checkpoint/unfit`, and as a stop and a start do. */
  restore(ref: string, point: string): Promise<Restored>;
  /**
   * Brings into one what another has changed, now (`from` is its id or name) or at a checkpoint (by id). Throws
   * `checkpoint/unrelated`, `checkpoint/unfit`, `checkpoint/no-space`, `file/no-space`, and as a stop and a start do.
   */
  merge(ref: string, from: string, wish: MergeWish): Promise<Merge & { readonly sandbox: Sandbox }>;
  /**
   * Makes a layer of what one has written, by now or at a point; one without snapshots stands still meanwhile. Throws
   * `layer/…`, `host/missing`, `aborted`.
   */
  captureLayer(ref: string, wish: CaptureWish): Promise<Capture>;
  /** Goes back so many steps. Throws `checkpoint/none`. */
  undo(ref: string, steps: number): Promise<Restored>;
}
