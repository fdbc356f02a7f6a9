import { setTimeout as wait } from "node:timers/promises";
import type { Checkpoint, Medium } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { SandboxId } from "../../model/ids.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { packCheckpoint } from "./packing.ts";
import type { Snapshots } from "./snapshots.ts";
import { collectPacked } from "./unpacking.ts";

/** When checkpoints are packed that nobody asked to pack. */
export interface PackingPolicy {
  /** So many of each sandbox's newest stay in the pool. */
  readonly keepUnpacked: number;
  /** From so many percent on a pool is so full that only the newest of each sandbox stays. */
  readonly fullPercent: number;
  /** How often it is looked. A sandbox of which one was taken since the last look is left alone, unless the pool is full. */
  readonly everyMs: number;
}

const MEDIA: readonly Medium[] = ["memory", "disk"];
/** Of a full pool so many are packed before it is looked again: what they held is free some moments later. */
const BATCH = 8;
/** After each it rests for so many times as long as that took, so that others hardly notice. */
const REST = 4;
/** What was unpacked for somebody stays in the pool for so long after it was used last. */
const KEPT_MS = 10 * 60_000;
/** What fails, such as a disk that is full, fails again for a while. */
const RETRY_MS = 5 * 60_000;

/** What a pool holds of one sandbox's checkpoints, oldest first. */
interface Held {
  readonly packed: readonly Checkpoint[];
  readonly unpacked: readonly Checkpoint[];
}

/** Packs what is old, one after the other, and lets go of what was unpacked for somebody. */
export class BackgroundPacking {
  readonly #context: LifecycleContext;
  readonly #snapshots: Snapshots;
  readonly #policy: PackingPolicy;
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #notBefore: Record<Medium, number> = { memory: 0, disk: 0 };
  #look: Promise<void> | undefined;

  constructor(context: LifecycleContext, snapshots: Snapshots, policy: PackingPolicy) {
    this.#context = context;
    this.#snapshots = snapshots;
    this.#policy = policy;
    this.#timer = setInterval(() => {
      this.#look ??= this.#lookAtAll().finally(() => {
        this.#look = undefined;
      });
    }, policy.everyMs).unref();
  }

  /** What is being packed is given up. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#look;
  }

  async #lookAtAll(): Promise<void> {
    for (const medium of MEDIA) {
      if (Date.now() < this.#notBefore[medium]) continue;
      try {
        // Checkpoints before commands make room for each other, and do not wait for this.
        await collectPacked(this.#snapshots);
        await this.#lookAt(medium);
      } catch (err) {
        if (this.#closing.signal.aborted) return;
        this.#notBefore[medium] = Date.now() + RETRY_MS;
        this.#context.log.warn({ err, medium }, "old checkpoints could not be packed");
      }
    }
  }

  async #lookAt(medium: Medium): Promise<void> {
    const { pools, packed } = this.#snapshots;
    const room = pools[medium].room();
    if (room === undefined) return;
    const isFull = (100 * room.usedBytes) / room.totalBytes >= this.#policy.fullPercent;
    const held = [...this.#heldIn(medium).values()];
    const unused = held
      .flatMap((each) => each.packed)
      .filter(({ id }) => isFull || !packed[medium].isUsed(id, KEPT_MS));
    const due = held.flatMap(({ unpacked }) => this.#dueOf(unpacked, isFull));
    const oldest = due.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, isFull ? BATCH : undefined);
    for (const checkpoint of [...unused, ...oldest]) {
      const tookMs = await this.#pack(checkpoint);
      if (!isFull) await wait(REST * tookMs, undefined, { signal: this.#closing.signal, ref: false });
    }
  }

  #heldIn(medium: Medium): ReadonlyMap<SandboxId, Held> {
    const { table, pools, packed } = this.#snapshots;
    const there = new Set(pools[medium].checkpoints());
    const held = new Map<SandboxId, { packed: Checkpoint[]; unpacked: Checkpoint[] }>();
    for (const each of table.all()) {
      if (each.medium !== medium || each.state !== "ready" || !there.has(each.id)) continue;
      const lists = held.get(each.origin.id) ?? { packed: [], unpacked: [] };
      held.set(each.origin.id, lists);
      lists[packed[medium].get(each.id) === undefined ? "unpacked" : "packed"].push(each);
    }
    return held;
  }

  /** @param unpacked of one sandbox */
  #dueOf(unpacked: readonly Checkpoint[], isFull: boolean): readonly Checkpoint[] {
    const newest = unpacked.at(-1);
    if (newest === undefined) return [];
    // What is destroyed takes its checkpoints with it.
    if (this.#context.live.get(newest.origin.id)?.sandbox.state.kind === "destroyed") return [];
    const isBusy = Date.now() - newest.createdAt.getTime() < this.#policy.everyMs;
    if (isBusy && !isFull) return [];
    const due = unpacked.slice(0, Math.max(0, unpacked.length - (isFull ? 1 : this.#policy.keepUnpacked)));
    return due.filter(({ id }) => !this.#snapshots.table.held.isHeld(id));
  }

  /** @returns how long it took, in milliseconds */
  async #pack(checkpoint: Checkpoint): Promise<number> {
    const begun = performance.now();
    try {
      await packCheckpoint(this.#context, checkpoint, { whole: false, signal: this.#closing.signal });
    } catch (error) {
      // Somebody has removed it meanwhile.
      if (!(error instanceof PlyboxError) || error.code !== "checkpoint/not-found") throw error;
    }
    return performance.now() - begun;
  }
}
