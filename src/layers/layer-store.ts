import { PlyboxError } from "../model/errors.ts";
import { parseDigest } from "../model/ids.ts";
import type { LayerManifest } from "../model/layer.ts";
import type { Collection, CollectRequest, StorageUsage } from "../model/storage.ts";
import type { StandingCheck } from "./catalog.ts";
import { Catalog } from "./catalog.ts";
import { Collector } from "./collector.ts";
import type { Packings } from "./compression.ts";
import { LAYER_PACKINGS } from "./compression.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { ImageBounds } from "./image-bounds.ts";
import { LayerBuilder } from "./layer-builder.ts";
import { LayerFinder } from "./layer-finder.ts";
import type { LayerLease } from "./layer-leases.ts";
import { LayerLeases } from "./layer-leases.ts";
import { LayerMaker } from "./layer-maker.ts";
import { LayerMounts } from "./layer-mounts.ts";
import { matchLayerName } from "./layer-names.ts";
import type { Mounter } from "./mounter.ts";
import { PackingProbe } from "./packing-probe.ts";
import type { SignaturePolicy } from "./signatures/signature-policy.ts";
import { NO_SIGNATURES } from "./signatures/signature-policy.ts";
import { LayerTransfer } from "./transfer/layer-transfer.ts";

const DIGEST = /^[0-9a-f]{64}$/;
const DEFAULT_IDLE_MS = 60_000;

export interface LayerLog {
  warn(fields: object, message: string): void;
}

export interface LayerStoreOptions {
  /** Where layers are kept, such as `/var/lib/plybox/layers`. */
  readonly storeDirectory: string;
  /** Where images are mounted, such as `/run/plybox/layers`; no other process may use it. */
  readonly mountDirectory: string;
  readonly mounter: Mounter;
  readonly log: LayerLog;
  /** How layers are packed; squashfs with zstd 15 in blocks of 128 KiB by default. */
  readonly packings?: Packings;
  /**
   * How long an image stays mounted when its last lease has been released, so that the next sandbox does not wait for
   * a mount; 60 s by default, 0 unmounts at once, Infinity waits for `unmountIdle`.
   */
  readonly idleMs?: number;
  /** Images are unpacked, for a process that may not mount them; ids are then presented as they are on the disk. */
  readonly unpack?: boolean;
  /** What an image may hold at most; `IMAGE_BOUNDS` by default. */
  readonly bounds?: ImageBounds;
  /** Bytes that layers may take before those that were not used for longest go; as many as there are by default. */
  readonly budgetBytes?: number | null;
  /** Whether a sandbox stands on a layer that this process has no lease of, such as a stopped one of a daemon. */
  readonly isStoodOn?: StandingCheck;
  /** Whose signatures layers from elsewhere are to have; none by default. */
  readonly signatures?: SignaturePolicy;
  /** Tests only: goes before each path of the machine that the host layer shows. */
  readonly machine?: string;
  /** Of programs that speak to the network for a build: proxies, certificates, where credentials are. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The program that the busybox layer is made of; `/bin/busybox` by default. */
  readonly busybox?: string;
}

/** What `sweep` took away. */
export interface LayerSweep {
  /** Digests of images that were mounted, or whose mount points were left. */
  readonly unmounted: readonly string[];
  /** Names in the store: layers without a name, and what killed builds left. */
  readonly removed: readonly string[];
}

/**
 * The layers of this machine: built, kept by their digests, mounted once and shared. docs/layers.md describes what is
 * on disk. A layer is meant by its name (`100-python`), the part after the number (`python`), or its digest; `host` and
 * `busybox` are built when they are first used. Several processes may use one store, each with its own mount directory.
 */
export class LayerStore {
  /** Makes layers that have a name. */
  readonly make: LayerMaker;
  /** Takes layers to other machines and from them. */
  readonly transfer: LayerTransfer;
  readonly #catalog: Catalog;
  readonly #finder: LayerFinder;
  readonly #mounts: LayerMounts;
  readonly #leases: LayerLeases;
  readonly #collector: Collector;
  readonly #log: LayerLog;

  constructor(options: LayerStoreOptions) {
    const { storeDirectory, packings = LAYER_PACKINGS, machine = "", busybox = "/bin/busybox" } = options;
    const { environment = {} } = options;
    this.#log = options.log;
    const unpacks = options.unpack === true;
    this.#catalog = new Catalog(storeDirectory, options.bounds, options.isStoodOn);
    this.#mounts = new LayerMounts(options.mountDirectory, options.mounter);
    const places = { catalog: this.#catalog, mounts: this.#mounts };
    const probe = new PackingProbe({ ...places, packsOnly: unpacks });
    const builder = new LayerBuilder(this.#catalog, { storeDirectory, packings, probe, machine, busybox, environment });
    this.#leases = new LayerLeases({ ...places, unpacks, log: options.log, idleMs: options.idleMs ?? DEFAULT_IDLE_MS });
    this.#finder = new LayerFinder(this.#catalog, builder);
    const find = async (layer: string): Promise<LayerManifest> => {
      await this.#finder.ensureBuilt(layer);
      return await this.#finder.findHere(layer);
    };
    this.transfer = new LayerTransfer({
      ...{ catalog: this.#catalog, policy: options.signatures ?? NO_SIGNATURES, find, unpacks },
      lease: (layers) => this.#leases.lease(layers, false),
    });
    this.#collector = new Collector({
      catalog: this.#catalog,
      budgetBytes: options.budgetBytes ?? null,
      isLeased: (digest) => this.#leases.isLeased(digest),
      whileClosed: (digest, task) =>
        this.#leases.whileClosed(digest, async () => !(await this.#mounts.isMounted(digest)) && (await task())),
    });
    this.make = new LayerMaker({
      catalog: this.#catalog,
      builder,
      finder: this.#finder,
      collector: this.#collector,
      packings,
      log: this.#log,
    });
  }

  /** From here on layers that are not here are asked of `elsewhere`, and what is built is kept there too. */
  useElsewhere(elsewhere: Elsewhere): void {
    this.#finder.useElsewhere(elsewhere);
    this.make.useElsewhere(elsewhere);
  }

  /** Every layer by name. One whose manifest is damaged is left out and logged; `inspect` says what it has. */
  async list(): Promise<readonly LayerManifest[]> {
    const manifests: LayerManifest[] = [];
    for (const [name, digest] of this.#catalog.names.current()) {
      try {
        manifests.push(await this.#catalog.layers.manifest(digest, name));
      } catch (err) {
        this.#log.warn({ layer: name, err }, "a layer cannot be read");
      }
    }
    return manifests;
  }

  /** @throws PlyboxError `layer/not-found`, `layer/corrupt`, `input/invalid` */
  async inspect(layer: string): Promise<LayerManifest> {
    return await this.#finder.findHere(layer);
  }

  /** Reads a whole layer and compares it with its digest. Throws `layer/corrupt`, and as `inspect`. */
  async verify(layer: string): Promise<void> {
    await this.#catalog.layers.verify(await this.#finder.findHere(layer));
  }

  /**
   * The layers that `layers` name, bottom first; `host` and `busybox` are built where they are not, and others are
   * fetched from elsewhere where that is known.
   * @throws PlyboxError `layer/not-found`, `layer/corrupt`, `input/invalid` for duplicates, none, or more than 64, and
   * as building does
   */
  async resolve(layers: readonly string[]): Promise<readonly LayerManifest[]> {
    return (await this.#finder.stackOf(layers)).layers;
  }

  /** What has changed since a layer was made that it was made on. Throws as `inspect`. */
  async warnings(layer: string): Promise<readonly string[]> {
    return await this.#finder.warnings(await this.#finder.findHere(layer));
  }

  /**
   * Leases layers, mounting what is not mounted. An image is compared with its digest before it is mounted, unless it
   * is known to be unchanged since.
   * @throws PlyboxError as `resolve` and the mounter do; nothing stays leased then
   */
  async acquire(layers: readonly string[]): Promise<LayerLease> {
    const { layers: stack, warnings } = await this.#finder.stackOf(layers);
    return { ...(await this.#leases.lease(stack, false)), warnings };
  }

  /**
   * Leases what a sandbox stands on and one more layer, with what that was made on, each where its number puts it. One
   * that is there already adds nothing.
   * @throws PlyboxError as `acquire`; `layer/exists` where another of its name is there
   */
  async acquireWith(standing: readonly LayerManifest[], layer: string): Promise<LayerLease> {
    const added = await this.#finder.find(layer);
    if (standing.some(({ digest }) => digest === added.digest)) return await this.#leases.lease(standing, false);
    if (standing.some(({ name }) => name === added.name)) {
      const message = `the sandbox stands on another ${added.name}; deactivate that first`;
      throw new PlyboxError("layer/exists", message, { field: "layer" });
    }
    const { layers, warnings } = await this.#finder.stacked([...standing, added]);
    return { ...(await this.#leases.lease(layers, false)), warnings };
  }

  /**
   * Leases what a sandbox stands on that outlived its daemon: mounts that are there are taken as they are, and nothing
   * is built. Give digests where they are known, since a name may mean another layer by now.
   * @throws PlyboxError as `inspect` and the mounter do
   */
  async adopt(layers: readonly string[]): Promise<LayerLease> {
    return await this.#leases.lease(await Promise.all(layers.map((layer) => this.#finder.findHere(layer))), true);
  }

  /** What layers take, and who could go. */
  async usage(): Promise<StorageUsage> {
    return await this.#collector.usage();
  }

  /**
   * Takes away what killed processes left, layers without a name and, where there is a budget, what was not used for
   * longest until it is kept; never what a sandbox stands on, nor what such a layer was made on.
   */
  async collect(request: CollectRequest = {}): Promise<Collection> {
    return await this.#collector.collect(request);
  }

  /** @throws PlyboxError `layer/not-found`, `layer/in-use` while it is leased or mounted, `input/invalid` */
  async remove(layer: string): Promise<void> {
    const names = this.#catalog.names.current();
    const name = matchLayerName(layer, new Set(names.keys()));
    const digest = names.get(name);
    if (digest === undefined) return;
    const removed = await this.#leases.whileClosed(
      digest,
      async () => !(await this.#mounts.isMounted(digest)) && (await this.#catalog.removeName(name, digest)),
    );
    if (removed !== true) throw new PlyboxError("layer/in-use", `layer ${name} is in use by a sandbox`);
  }

  /** Unmounts every image that no lease holds. Throws an AggregateError of what could not be. */
  async unmountIdle(): Promise<void> {
    await this.#leases.closeAllIdle();
  }

  /** Takes away what killed processes left: to be called at start, when all that lives has been adopted. */
  async sweep(): Promise<LayerSweep> {
    await this.#catalog.prepare();
    const unmounted: string[] = [];
    for (const leftover of await this.#mounts.leftovers()) {
      if (!DIGEST.test(leftover)) continue;
      const digest = parseDigest(leftover);
      if (this.#leases.isOpen(digest) || this.#catalog.pins.isHeld(digest)) continue;
      await this.#leases.whileClosed(digest, async () => {
        await this.#mounts.unmount(digest);
        unmounted.push(digest);
      });
    }
    return { unmounted, removed: await this.#catalog.sweep() };
  }
}
