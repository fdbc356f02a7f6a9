import type { PlyboxError } from "../model/errors.ts";
import type { Digest } from "../model/ids.ts";
import type { Bind, LayerMount } from "../model/launch-plan.ts";
import type { ImageFormat, LayerManifest } from "../model/layer.ts";
import type { Catalog } from "./catalog.ts";
import type { LayerMounts } from "./layer-mounts.ts";
import { gone } from "./layer-names.ts";
import type { LayerLog } from "./layer-store.ts";
import type { LayerOpener } from "./shared-layers.ts";
import { SharedLayers } from "./shared-layers.ts";
import { corrupt } from "./stored-layers.ts";
import { unpackedImage } from "./unpacked-image.ts";

/** The right to stand on some layers: they stay mounted and cannot be removed until it is released. */
export interface LayerLease extends AsyncDisposable {
  /** Bottom first. Their digests are what `adopt` takes after a restart. */
  readonly layers: readonly LayerManifest[];
  /** What of them may not fit together. */
  readonly warnings: readonly string[];
  /** The layers as a launch plan names them, bottom first. */
  readonly mounts: readonly LayerMount[];
  /** What the layers show of the machine. */
  readonly binds: readonly Bind[];
  /** Idempotent. With `idleMs` 0 it resolves, or fails, when what nobody uses any more is unmounted. */
  release(): Promise<void>;
}

export interface LayerLeasesOptions {
  readonly catalog: Catalog;
  readonly mounts: LayerMounts;
  readonly log: LayerLog;
  readonly idleMs: number;
  /** Images are unpacked instead of mounted. */
  readonly unpacks: boolean;
}

/** Gives leases of layers: what is leased is pinned, mounted once, and unmounted when nobody has used it for a while. */
export class LayerLeases {
  readonly #options: LayerLeasesOptions;
  readonly #shared: SharedLayers;

  constructor(options: LayerLeasesOptions) {
    this.#options = options;
    this.#shared = new SharedLayers({
      idleMs: options.idleMs,
      onCloseFailed: (digest, err) => options.log.warn({ digest, err }, "an idle layer cannot be unmounted"),
    });
  }

  /** @param adopting mounts that are there are taken as they are */
  async lease(layers: readonly LayerManifest[], adopting: boolean): Promise<LayerLease> {
    const held: Digest[] = [];
    const mounts: LayerMount[] = [];
    try {
      for (const layer of layers) {
        const { digest } = layer;
        const path = this.#shared.tryUse(digest) ?? (await this.#shared.use(digest, this.#opener(layer, adopting)));
        held.push(digest);
        mounts.push({ path, idmap: !this.#options.unpacks });
      }
    } catch (error) {
      await this.#release(held).catch((err: unknown) => this.#options.log.warn({ err }, "a layer cannot be released"));
      throw error;
    }
    let released: Promise<void> | undefined;
    const release = (): Promise<void> => {
      released ??= this.#release(held);
      return released;
    };
    return {
      layers,
      warnings: [],
      mounts,
      binds: layers.flatMap(({ binds }) => binds),
      release,
      [Symbol.asyncDispose]: release,
    };
  }

  /** Whether a lease holds the layer; one that is idle is only open. */
  isLeased(digest: Digest): boolean {
    return this.#shared.isUsed(digest);
  }

  isOpen(digest: Digest): boolean {
    return this.#shared.isOpen(digest);
  }

  /** Runs `task` while nobody can lease the layer; returns undefined when somebody has. */
  async whileClosed<T>(digest: Digest, task: () => Promise<T>): Promise<T | undefined> {
    return await this.#shared.whileClosed(digest, task);
  }

  /** Unmounts every image that no lease holds. Throws an AggregateError of what could not be. */
  async closeAllIdle(): Promise<void> {
    await this.#shared.closeAllIdle();
  }

  async #release(digests: readonly Digest[]): Promise<void> {
    const results = await Promise.allSettled(digests.map((digest) => this.#shared.release(digest)));
    const failed = results.filter((result) => result.status === "rejected");
    if (failed.length > 0)
      throw new AggregateError(
        failed.map(({ reason }) => reason),
        "layers could not be unmounted",
      );
  }

  #opener(layer: LayerManifest, adopting: boolean): LayerOpener {
    const { digest, format } = layer;
    const { catalog, mounts, unpacks } = this.#options;
    return {
      open: async () => {
        // Pinned first, then looked at: whoever removes layers does it the other way round.
        catalog.pins.hold(digest);
        try {
          if (!catalog.layers.has(digest)) throw gone(layer.name);
          catalog.layers.touch(digest);
          if (format === "dir") return await catalog.layers.soundPath(layer);
          if (unpacks) return await unpackedImage(catalog, layer);
          return await this.#mounted(layer, format, adopting);
        } catch (error) {
          catalog.pins.drop(digest);
          throw error;
        }
      },
      close: async () => {
        if (format !== "dir" && !unpacks) await mounts.unmount(digest);
        catalog.layers.touch(digest);
        catalog.pins.drop(digest);
        await catalog.discardUnnamed(digest);
      },
    };
  }

  async #mounted(layer: LayerManifest, format: ImageFormat, adopting: boolean): Promise<string> {
    const { name, digest } = layer;
    const { catalog, mounts } = this.#options;
    const isMounted = await mounts.isMounted(digest);
    if (isMounted && adopting) return mounts.target(digest);
    const image = await catalog.layers.soundPath(layer);
    if (isMounted) return mounts.target(digest);
    try {
      return await mounts.mount(digest, image, format);
    } catch (error) {
      const { step, errno } = error as Partial<PlyboxError>;
      // The kernel's own look at the image.
      if (step === "mount-image" && errno !== undefined && REFUSALS.has(errno)) {
        throw corrupt(name, `the kernel does not take its image (${errno})`, error);
      }
      throw error;
    }
  }
}

/** How squashfs and erofs say that an image is not sound: EUCLEAN and EBADMSG are erofs's. */
const REFUSALS: ReadonlySet<string> = new Set(["EINVAL", "EIO", "EUCLEAN", "EBADMSG"]);
