import { KeyedLock } from "../base/keyed-lock.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Digest, LayerName } from "../model/ids.ts";
import { parseDigest } from "../model/ids.ts";
import type { LayerManifest } from "../model/layer.ts";
import type { Catalog } from "./catalog.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { LayerBuilder } from "./layer-builder.ts";
import { BUSYBOX_LAYER, HOST_LAYER } from "./layer-builder.ts";
import { gone, matchLayerName, stackOrder } from "./layer-names.ts";
import type { KnownLayers, Stack } from "./stack.ts";
import { stackOf } from "./stack.ts";

/** As `NameIndex` has them. */
type Names = ReadonlyMap<LayerName, Digest>;

const DIGEST = /^[0-9a-f]{64}$/;
/** The launcher takes no more; docs/protocol.md §7. */
const HIGHEST_STACK = 64;
/** Looking at the machine's files costs more than the rest of an acquisition, and packages change by the hour. */
const HOST_CHECK_EVERY_MS = 10_000;

/**
 * Finds the layers that are meant by a name (`100-python`), the part after its number (`python`) or a digest. `host` and
 * `busybox` are built where they are not, and others are fetched from elsewhere where that is known.
 */
export class LayerFinder {
  readonly #catalog: Catalog;
  readonly #builder: LayerBuilder;
  readonly #building = new KeyedLock();
  #elsewhere: Elsewhere | undefined;
  #hostCheckedAt = Number.NEGATIVE_INFINITY;

  constructor(catalog: Catalog, builder: LayerBuilder) {
    this.#catalog = catalog;
    this.#builder = builder;
  }

  useElsewhere(elsewhere: Elsewhere): void {
    this.#elsewhere = elsewhere;
  }

  /** @throws PlyboxError `layer/not-found`, `layer/corrupt`, `input/invalid`, and as building and fetching do */
  async find(layer: string): Promise<LayerManifest> {
    const names = await this.ensureBuilt(layer);
    try {
      return await this.findHere(layer, names);
    } catch (error) {
      const isMissing = error instanceof PlyboxError && error.code === "layer/not-found";
      if (!isMissing || this.#elsewhere === undefined) throw error;
      const isHere = (): boolean => this.isHere(layer);
      if (!(await this.#elsewhere.fetchMissing(layer, isHere))) throw error;
    }
    return await this.findHere(layer);
  }

  /**
   * Neither builds nor fetches. Throws PlyboxError `layer/not-found`, `layer/corrupt`, `input/invalid`.
   * @param known the names as they are, where that has just been looked at
   */
  async findHere(layer: string, known?: Names): Promise<LayerManifest> {
    if (DIGEST.test(layer)) {
      const digest = parseDigest(layer);
      if (!this.#catalog.layers.has(digest)) throw gone(layer);
      return await this.#catalog.layers.manifest(digest);
    }
    const names = known ?? this.#catalog.names.current();
    const digest = names.get(layer as LayerName);
    if (digest !== undefined) return await this.#catalog.layers.manifest(digest, layer as LayerName);
    const name = matchLayerName(layer, new Set([...names.keys(), HOST_LAYER, BUSYBOX_LAYER]));
    const matched = names.get(name);
    if (matched === undefined) throw new PlyboxError("layer/not-found", `layer ${name} is built when it is first used`);
    return await this.#catalog.layers.manifest(matched, name);
  }

  /** Of a whole name, or a digest. */
  isHere(layer: string): boolean {
    if (DIGEST.test(layer)) return this.#catalog.layers.has(parseDigest(layer));
    return this.#catalog.names.current().has(layer as LayerName);
  }

  /**
   * What a sandbox on these layers stands on, bottom first.
   * @throws PlyboxError as `find`, `input/invalid` for duplicates, none, or more than 64
   */
  async stackOf(layers: readonly string[]): Promise<Stack> {
    if (layers.length === 0 || layers.length > HIGHEST_STACK) {
      throw invalid(`a sandbox stands on 1 to ${HIGHEST_STACK} layers, not ${layers.length}`);
    }
    const found: LayerManifest[] = [];
    for (const layer of layers) {
      const manifest = await this.find(layer);
      const twin = found.find(({ digest }) => digest === manifest.digest);
      if (twin !== undefined) {
        const reason = twin.name === manifest.name ? "is named twice" : `has the same content as ${twin.name}`;
        throw invalid(`layer ${manifest.name} ${reason}`);
      }
      found.push(manifest);
    }
    return await this.stacked(found);
  }

  /** Layers with what they were made on, bottom first. Throws PlyboxError `input/invalid` for more than 64. */
  async stacked(found: readonly LayerManifest[]): Promise<Stack> {
    const stack = await stackOf(found, this.#known);
    if (stack.layers.length > HIGHEST_STACK) {
      throw invalid(
        `with what they were made on these are ${stack.layers.length} layers; ${HIGHEST_STACK} are allowed`,
      );
    }
    return { ...stack, layers: [...stack.layers].sort((a, b) => stackOrder(a.name, b.name)) };
  }

  /** What has changed since a layer was made that it was made on. */
  async warnings(layer: LayerManifest): Promise<readonly string[]> {
    return (await stackOf([layer], this.#known)).warnings;
  }

  get #known(): KnownLayers {
    return {
      find: async (digest) =>
        this.#catalog.layers.has(digest)
          ? await this.#catalog.layers.manifest(digest).catch(() => undefined)
          : undefined,
      current: (name) => this.#catalog.names.current().get(name),
    };
  }

  /** Builds a layer that Plybox makes by itself, where it is not built. Answers the names, where it looked at them. */
  async ensureBuilt(layer: string): Promise<Names | undefined> {
    const name = layer === "host" ? HOST_LAYER : layer === "busybox" ? BUSYBOX_LAYER : layer;
    if (!isBuiltIn(name)) return undefined;
    const names = this.#catalog.names.current();
    if (this.#isBuilt(name, names)) return names;
    return await this.#building.run(name, async () => {
      const now = this.#catalog.names.current();
      if (this.#isBuilt(name, now)) return now;
      const digest = now.get(name);
      if (name === BUSYBOX_LAYER) await this.#builder.busybox();
      else if (digest === undefined || !(await this.#builder.isHostCurrent(digest))) await this.#builder.host();
      if (name === HOST_LAYER) this.#hostCheckedAt = performance.now();
      return this.#catalog.names.current();
    });
  }

  #isBuilt(name: LayerName, names: Names): boolean {
    if (!names.has(name)) return false;
    return name !== HOST_LAYER || performance.now() - this.#hostCheckedAt < HOST_CHECK_EVERY_MS;
  }
}

/** Whether Plybox makes the layer by itself. */
export const isBuiltIn = (name: string): name is LayerName => name === HOST_LAYER || name === BUSYBOX_LAYER;

const invalid = (message: string): PlyboxError => new PlyboxError("input/invalid", message, { field: "layers" });
