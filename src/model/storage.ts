import type { Medium } from "./checkpoint.ts";
import type { Digest, LayerName, SandboxId, SandboxName } from "./ids.ts";
import type { LayerFormat } from "./layer.ts";

/** A layer as the store sees it that has to make room. */
export interface StoredLayer {
  readonly digest: Digest;
  /** Empty where it has none any more. */
  readonly names: readonly LayerName[];
  /** Whether it is kept as a step of a build, for the next one to find. */
  readonly isStep: boolean;
  readonly format: LayerFormat;
  /** On the disk, with what was unpacked of it. */
  readonly bytes: number;
  readonly lastUsedAt: Date;
  /** Whether a sandbox, also a stopped one, or a process stands on it. */
  readonly inUse: boolean;
}

/** What the layers of a machine take. */
export interface StorageUsage {
  /** Least recently used first. */
  readonly layers: readonly StoredLayer[];
  /** All layers together. */
  readonly layerBytes: number;
  /** Of layers that nobody stands on. */
  readonly reclaimableBytes: number;
  /** What killed processes left half made. */
  readonly leftoverBytes: number;
  /** More than this is not kept of what nobody stands on; null without a budget. */
  readonly budgetBytes: number | null;
  /** Of the file system that they are on. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** What the writable layers of sandboxes take. */
export interface UpperStorage {
  /** Oldest first. */
  readonly uppers: readonly {
    readonly sandbox: SandboxId;
    readonly tenant: string;
    readonly name: SandboxName | null;
    readonly kind: "tmpfs" | "disk";
    /** With what its checkpoints hold on to; null where nobody knows, or not yet. */
    readonly usedBytes: number | null;
    /** Null where only the medium bounds it. */
    readonly limitBytes: number | null;
    readonly checkpoints: number;
    /** Of the files that some of these are packed into, which are not in the pool. */
    readonly packedBytes: number;
  }[];
  /** All of those that are known. */
  readonly upperBytes: number;
  /** Of all files that checkpoints are packed into. */
  readonly packedBytes: number;
  /** Of uppers with snapshots, and of checkpoints whose sandboxes are gone. */
  readonly pools: readonly { readonly medium: Medium; readonly usedBytes: number; readonly totalBytes: number }[];
}

/** What may get full: the upper of one sandbox, a pool of uppers with snapshots, or the disk that the rest is on. */
export type StorageKind = "upper" | "memory-pool" | "disk-pool" | "state-directory";

/** How full it is, by the thresholds that are configured. */
export type PressureLevel = "normal" | "high" | "critical";

export interface CollectRequest {
  /** Tell what would go, and change nothing. */
  readonly dryRun?: boolean;
  /** In place of the budget that is configured; 0 leaves nothing that nobody stands on. */
  readonly budgetBytes?: number;
  /** Take away all that builds keep for the next one, and not only what none has used for a week. */
  readonly buildCache?: boolean;
}

/**
 * Why something was taken away: left half made, without a name, a build's step that nobody wants any more, or least recently
 * used and over the budget.
 */
export type CollectReason = "leftover" | "unnamed" | "step" | "over-budget";

export interface CollectedItem {
  readonly reason: CollectReason;
  /** Null for what was left half made. */
  readonly digest: Digest | null;
  readonly names: readonly LayerName[];
  readonly bytes: number;
  readonly lastUsedAt: Date | null;
}

export interface Collection {
  /** In the order in which it went, or would go. */
  readonly items: readonly CollectedItem[];
  readonly freedBytes: number;
  /** What layers take now, or would take. */
  readonly layerBytes: number;
  /** Whether the budget is exceeded even so, by what is stood on. */
  readonly isOverBudget: boolean;
}
