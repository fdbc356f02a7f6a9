import type { Digest, LayerName } from "../model/ids.ts";
import type { LayerManifest } from "../model/layer.ts";
import type { Catalog } from "./catalog.ts";
import type { LayerBuilder, Pack, PackOptions } from "./layer-builder.ts";
import type { StepKey } from "./step-index.ts";

/**
 * The layers that one build makes on its way, or finds as an earlier one has made them. They have no names, and stay at
 * least until this is disposed of: who makes room later looks at when they were last used.
 */
export class BuildSteps implements Disposable {
  readonly #catalog: Catalog;
  readonly #builder: LayerBuilder;
  readonly #held: Digest[] = [];

  constructor(catalog: Catalog, builder: LayerBuilder) {
    this.#catalog = catalog;
    this.#builder = builder;
  }

  /** Undefined where there is none, or one that is damaged. */
  async find(key: StepKey): Promise<LayerManifest | undefined> {
    await this.#catalog.prepare();
    const digest = this.#catalog.steps.find(key);
    if (digest === undefined) return undefined;
    // Pinned, and then looked for: whoever removes it does so the other way round.
    this.hold(digest);
    try {
      const layer = await this.#catalog.layers.manifest(digest);
      await this.#catalog.layers.soundPath(layer);
      this.#catalog.layers.touch(digest);
      return layer;
    } catch {
      return undefined;
    }
  }

  /** @throws as `LayerBuilder.packed` */
  async make(key: StepKey, name: LayerName, pack: Pack, options: PackOptions): Promise<LayerManifest> {
    return await this.#builder.packed(name, pack, options, async (digest) => {
      this.hold(digest);
      await this.note(key, digest);
    });
  }

  /** From here on the layer is found by this key. */
  async note(key: StepKey, digest: Digest): Promise<void> {
    const earlier = this.#catalog.steps.find(key);
    this.#catalog.steps.point(key, digest);
    if (earlier !== undefined && earlier !== digest) await this.#catalog.discardUnnamed(earlier);
  }

  /** Keeps a layer for as long as this is there. */
  hold(digest: Digest): void {
    this.#catalog.pins.hold(digest);
    this.#held.push(digest);
  }

  /** The image of a layer that is held. Throws `layer/corrupt`. */
  async imageOf(digest: Digest): Promise<string> {
    return await this.#catalog.layers.soundPath(await this.#catalog.layers.manifest(digest));
  }

  [Symbol.dispose](): void {
    for (const digest of this.#held.splice(0)) this.#catalog.pins.drop(digest);
  }
}
