import { statfs } from "node:fs/promises";
import type { Digest, LayerName } from "../model/ids.ts";
import type { CollectedItem, Collection, CollectRequest, StorageUsage, StoredLayer } from "../model/storage.ts";
import type { Catalog } from "./catalog.ts";

/** How long what a build has kept is of use to the next one. */
const STEP_MS = 7 * 86_400_000;

export interface CollectorOptions {
  readonly catalog: Catalog;
  /** Bytes that layers may take; null for as many as there are. */
  readonly budgetBytes: number | null;
  /** Whether this process leases the layer. */
  readonly isLeased: (digest: Digest) => boolean;
  /** Runs a task while this process cannot lease the layer; undefined when it does. */
  readonly whileClosed: (digest: Digest, task: () => Promise<boolean>) => Promise<boolean | undefined>;
}

/** Makes room in the store: what killed processes left, layers without a name, then by age of their last use. */
export class Collector {
  readonly #options: CollectorOptions;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  get hasBudget(): boolean {
    return this.#options.budgetBytes !== null;
  }

  async usage(): Promise<StorageUsage> {
    const { catalog, budgetBytes } = this.#options;
    await catalog.prepare();
    const layers = await this.#layers();
    const leftovers = await catalog.leftovers();
    const { bsize, bavail, blocks } = await statfs(catalog.store);
    return {
      layers,
      layerBytes: sum(layers),
      reclaimableBytes: sum(layers.filter(({ inUse }) => !inUse)),
      leftoverBytes: sum(leftovers),
      budgetBytes,
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
    };
  }

  /**
   * Takes away what is not needed. A layer that somebody stands on stays, and so do the layers that it was made on.
   * @param keep a layer that stays whatever its age
   */
  async collect(request: CollectRequest, keep?: Digest): Promise<Collection> {
    const { catalog } = this.#options;
    const { dryRun = false, budgetBytes = this.#options.budgetBytes, buildCache = false } = request;
    const stale = buildCache ? Number.POSITIVE_INFINITY : Date.now() - STEP_MS;
    await catalog.prepare();
    const items = (await this.#sweepLeftovers(dryRun)).map(leftover);
    const kept = new Map((await this.#layers()).map((layer) => [layer.digest, layer]));
    const total = (): number => sum([...kept.values()]);
    const parents = await this.#parents(kept.keys());
    const drop = async (layer: StoredLayer, reason: "unnamed" | "step" | "over-budget"): Promise<void> => {
      if (layer.inUse || layer.digest === keep || isParent(layer.digest, kept, parents)) return;
      if (!dryRun && !(await this.#remove(layer))) return;
      kept.delete(layer.digest);
      items.push({ ...layer, reason });
    };
    // Children are tried again after those that were made on them could go.
    for (let before = -1; before !== kept.size; ) {
      before = kept.size;
      for (const layer of [...kept.values()].filter(({ names }) => names.length === 0)) {
        if (!layer.isStep) await drop(layer, "unnamed");
        else if (layer.lastUsedAt.getTime() < stale) await drop(layer, "step");
      }
      for (const layer of kept.values()) {
        if (budgetBytes === null || total() <= budgetBytes) break;
        await drop(layer, "over-budget");
      }
    }
    const layerBytes = total();
    const isOverBudget = budgetBytes !== null && layerBytes > budgetBytes;
    return { items, freedBytes: sum(items), layerBytes, isOverBudget };
  }

  async #sweepLeftovers(dryRun: boolean): Promise<readonly { readonly bytes: number }[]> {
    const leftovers = await this.#options.catalog.leftovers();
    if (!dryRun) await this.#options.catalog.sweepStaging();
    return leftovers;
  }

  /** Least recently used first. */
  async #layers(): Promise<StoredLayer[]> {
    const { catalog, isLeased } = this.#options;
    const names = new Map<Digest, LayerName[]>();
    for (const [name, digest] of catalog.names.current()) names.set(digest, [...(names.get(digest) ?? []), name]);
    const layers: StoredLayer[] = [];
    for (const digest of await catalog.layers.digests()) {
      const measured = await catalog.layers.measure(digest);
      if (measured === undefined) continue;
      const inUse = isLeased(digest) || catalog.pins.isHeldElsewhere(digest) || (await catalog.isStoodOn(digest));
      const isStep = catalog.steps.has(digest);
      layers.push({ digest, names: names.get(digest) ?? [], isStep, ...measured, inUse });
    }
    return layers.sort((a, b) => a.lastUsedAt.getTime() - b.lastUsedAt.getTime());
  }

  async #parents(digests: Iterable<Digest>): Promise<ReadonlyMap<Digest, readonly Digest[]>> {
    const parents = new Map<Digest, readonly Digest[]>();
    for (const digest of digests) {
      // One that cannot be read keeps nothing.
      const manifest = await this.#options.catalog.layers.manifest(digest).catch(() => undefined);
      parents.set(digest, manifest?.parents ?? []);
    }
    return parents;
  }

  async #remove({ digest, names }: StoredLayer): Promise<boolean> {
    const { catalog, whileClosed } = this.#options;
    return (await whileClosed(digest, () => catalog.removeNames(names, digest))) === true;
  }
}

const isParent = (
  digest: Digest,
  kept: ReadonlyMap<Digest, StoredLayer>,
  parents: ReadonlyMap<Digest, readonly Digest[]>,
): boolean => [...kept.keys()].some((child) => parents.get(child)?.includes(digest));

const leftover = ({ bytes }: { readonly bytes: number }): CollectedItem => ({
  ...{ reason: "leftover", digest: null, names: [], bytes, lastUsedAt: null },
});

const sum = (items: readonly { readonly bytes: number }[]): number => items.reduce((all, { bytes }) => all + bytes, 0);
