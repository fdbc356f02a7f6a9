import { KeyedLock } from "../base/keyed-lock.ts";
import type { Digest } from "../model/ids.ts";

/** A longer timer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** How a layer is made usable, once for all its users. */
export interface LayerOpener {
  /** Returns the path under which the layer's root is to be found. */
  open(): Promise<string>;
  close(): Promise<void>;
}

export interface SharedLayersOptions {
  /** How long a layer that nobody uses stays open; 0 closes it with its last release. */
  readonly idleMs: number;
  /** Told of layers that could not be closed when their time was over; they stay open and are tried again. */
  readonly onCloseFailed: (digest: Digest, error: unknown) => void;
}

interface OpenLayer {
  readonly path: string;
  readonly close: () => Promise<void>;
  users: number;
  idleSince: number;
}

/**
 * Counts the users of each open layer: the first opens it, the last starts its idle time. A layer in the map is open;
 * opening and closing happen off the map, one at a time for each layer.
 */
export class SharedLayers {
  readonly #options: SharedLayersOptions;
  readonly #open = new Map<Digest, OpenLayer>();
  readonly #lock = new KeyedLock();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SharedLayersOptions) {
    this.#options = options;
  }

  isOpen(digest: Digest): boolean {
    return this.#open.has(digest);
  }

  isUsed(digest: Digest): boolean {
    return (this.#open.get(digest)?.users ?? 0) > 0;
  }

  /** Counts one more user of a layer that is open, and returns its path; undefined when it is not. */
  tryUse(digest: Digest): string | undefined {
    const layer = this.#open.get(digest);
    if (layer === undefined) return undefined;
    layer.users++;
    return layer.path;
  }

  /** Counts one more user, opening the layer where it is not open. Returns its path. */
  async use(digest: Digest, opener: LayerOpener): Promise<string> {
    const path = this.tryUse(digest);
    if (path !== undefined) return path;
    return await this.#lock.run(digest, async () => {
      const opened = this.tryUse(digest);
      if (opened !== undefined) return opened;
      const layer = { path: await opener.open(), close: () => opener.close(), users: 1, idleSince: 0 };
      this.#open.set(digest, layer);
      return layer.path;
    });
  }

  /** Ends one use. Throws what closing throws when the layer is to be closed at once. */
  async release(digest: Digest): Promise<void> {
    const layer = this.#open.get(digest);
    if (layer === undefined) return;
    layer.users--;
    if (layer.users > 0) return;
    layer.idleSince = performance.now();
    if (this.#options.idleMs === 0) await this.closeIfIdle(digest);
    else this.#arm(this.#options.idleMs);
  }

  /** Runs `task` while the layer is closed and nobody can open it; returns undefined when it is in use. */
  async whileClosed<T>(digest: Digest, task: () => Promise<T>): Promise<T | undefined> {
    return await this.#lock.run(digest, async () => {
      return (await this.#closeIdle(digest)) ? await task() : undefined;
    });
  }

  /** Returns whether the layer is closed now: not when somebody uses it. */
  async closeIfIdle(digest: Digest): Promise<boolean> {
    return await this.#lock.run(digest, () => this.#closeIdle(digest));
  }

  /** Closes every layer that nobody uses. Tries all of them before it throws what failed. */
  async closeAllIdle(): Promise<void> {
    const results = await Promise.allSettled([...this.#open.keys()].map((digest) => this.closeIfIdle(digest)));
    const failed = results.filter((result) => result.status === "rejected");
    if (failed.length > 0)
      throw new AggregateError(
        failed.map((result) => result.reason),
        "layers could not be closed",
      );
  }

  async #closeIdle(digest: Digest): Promise<boolean> {
    const layer = this.#open.get(digest);
    if (layer === undefined) return true;
    if (layer.users > 0) return false;
    // From here on a new user waits for the lock.
    this.#open.delete(digest);
    try {
      await layer.close();
    } catch (error) {
      this.#open.set(digest, layer);
      throw error;
    }
    return true;
  }

  #arm(afterMs: number): void {
    // Infinity: idle layers are closed on request only.
    if (this.#timer !== undefined || !Number.isFinite(afterMs)) return;
    this.#timer = setTimeout(() => void this.#closeOverdue(), Math.min(afterMs, LONGEST_TIMER_MS)).unref();
  }

  async #closeOverdue(): Promise<void> {
    const now = performance.now();
    const { idleMs, onCloseFailed } = this.#options;
    for (const [digest, layer] of [...this.#open]) {
      if (layer.users > 0 || now - layer.idleSince < idleMs) continue;
      await this.closeIfIdle(digest).catch((error: unknown) => onCloseFailed(digest, error));
    }
    this.#timer = undefined;
    if ([...this.#open.values()].some((layer) => layer.users === 0)) this.#arm(idleMs);
  }
}
