import { KeyedLock } from "../base/keyed-lock.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Digest, LayerName } from "../model/ids.ts";
import { parseLayerName } from "../model/ids.ts";
import type { LayerManifest, PackingRequest } from "../model/layer.ts";
import type { PresetName } from "../model/presets.ts";
import { BuildSteps } from "./build-steps.ts";
import type { Catalog } from "./catalog.ts";
import type { Collector } from "./collector.ts";
import type { Packing, Packings } from "./compression.ts";
import { choosePacking } from "./compression.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { BuildOptions, ImageBuildOptions, LayerBuilder, Pack, Parent, TarBuildOptions } from "./layer-builder.ts";
import type { LayerFinder } from "./layer-finder.ts";
import { isBuiltIn } from "./layer-finder.ts";
import { stackOrder } from "./layer-names.ts";
import type { LayerLog } from "./layer-store.ts";
import type { ImageRequest } from "./oci/image-layer.ts";
import { PRESETS } from "./presets/presets.ts";
import { giveName } from "./publish.ts";

interface MakerParts {
  readonly catalog: Catalog;
  readonly builder: LayerBuilder;
  readonly finder: LayerFinder;
  readonly collector: Collector;
  readonly packings: Packings;
  readonly log: LayerLog;
}

/**
 * Makes layers that have a name of the user's: on parents that may stand below them, within the store's budget, and kept
 * elsewhere too where that is wanted. How each is packed and put into the catalog is the `LayerBuilder`'s.
 */
export class LayerMaker {
  readonly #parts: MakerParts;
  readonly #building = new KeyedLock();
  #elsewhere: Elsewhere | undefined;

  constructor(parts: MakerParts) {
    this.#parts = parts;
  }

  useElsewhere(elsewhere: Elsewhere): void {
    this.#elsewhere = elsewhere;
  }

  /**
   * Packs a directory into a layer called `name`. The same tree gives the same digest; building a layer again that is
   * there changes nothing, or mends it where it is damaged.
   * @throws PlyboxError `input/invalid` for a name, a directory or an owner id that cannot be, `layer/exists` when the
   * name has other content, `host/missing` without squashfs-tools, `layer/build-failed`, `aborted`
   */
  async fromDirectory(name: string, directory: string, options: BuildOptions = {}): Promise<LayerManifest> {
    const parsed = parseNewName(name);
    const parents = await this.#parentsOf(parsed, options.parents ?? []);
    return await this.#finish(
      await this.#parts.builder.fromDirectory(parsed, directory, { ...options, parents }),
      options,
    );
  }

  /**
   * Makes a layer called `name` of a tar archive: ustar, pax or GNU, plain or compressed by gzip, zstd, xz or bzip2.
   * docs/layers.md says what is taken and what is refused. The same archive gives the same digest.
   * @throws PlyboxError as `fromDirectory`, `file/bad-archive`, `layer/too-large`
   */
  async fromTar(name: string, archive: AsyncIterable<Buffer>, options: TarBuildOptions): Promise<LayerManifest> {
    const parsed = parseNewName(name);
    const parents = await this.#parentsOf(parsed, options.parents ?? []);
    return await this.#finish(await this.#parts.builder.fromTar(parsed, archive, { ...options, parents }), options);
  }

  /**
   * Makes a layer called `name` of an OCI image: its layers become one, its configuration is kept in the manifest.
   * @throws PlyboxError as `fromTar`, `image/invalid`, `image/pull-failed`
   */
  async fromImage(name: string, request: ImageRequest, options: ImageBuildOptions = {}): Promise<LayerManifest> {
    return await this.#finish(await this.#parts.builder.fromImage(parseNewName(name), request, options), options);
  }

  /**
   * Makes `000-busybox`, or a layer of Debian's packages, on `000-debian` where it is none of a whole system; that one is made
   * first where there is none.
   * @throws PlyboxError as `fromTar`; `layer/build-failed` with what mmdebstrap complained of
   */
  async preset(preset: PresetName, options: ImageBuildOptions = {}): Promise<LayerManifest> {
    if (preset === "busybox") return await this.#parts.builder.busybox(options);
    const wanted = PRESETS[preset];
    const base = wanted.isBase ? undefined : await this.#debian(options);
    return await this.#finish(await this.#parts.builder.fromPreset(wanted, base, options), options);
  }

  /**
   * Makes a layer of the image that `pack` leaves in the directory that it is given.
   * @throws PlyboxError as `fromDirectory`, and what `pack` does
   */
  async packed(name: string, pack: Pack, options: BuildOptions = {}): Promise<LayerManifest> {
    const parsed = parseNewName(name);
    const parents = await this.#parentsOf(parsed, options.parents ?? []);
    return await this.#finish(await this.#parts.builder.packed(parsed, pack, { ...options, parents }), options);
  }

  /**
   * Gives a layer that is there another name.
   * @throws PlyboxError `layer/exists`, `layer/not-found`, `input/invalid`
   */
  async giveName(name: string, digest: Digest, replace = false): Promise<LayerManifest> {
    const parsed = parseNewName(name);
    const { parents } = await this.#parts.finder.findHere(digest);
    await this.#parentsOf(parsed, parents);
    await giveName(this.#parts.catalog, parsed, digest, replace);
    return await this.#finish(await this.#parts.finder.findHere(parsed), { replace });
  }

  /** How a layer is packed for which this is asked. Throws `input/invalid`. */
  packingFor(request: PackingRequest | undefined): Packing {
    return choosePacking(this.#parts.packings, request);
  }

  /** What a build of several steps keeps its layers by; to be disposed of when it is over. */
  steps(): BuildSteps {
    return new BuildSteps(this.#parts.catalog, this.#parts.builder);
  }

  async #debian({ replace: _, ...options }: ImageBuildOptions): Promise<LayerManifest> {
    const { name } = PRESETS.debian;
    return await this.#building.run(name, async () =>
      this.#parts.finder.isHere(name) ? await this.#parts.finder.findHere(name) : await this.preset("debian", options),
    );
  }

  async #parentsOf(name: LayerName, layers: readonly string[]): Promise<readonly Parent[]> {
    const parents: LayerManifest[] = [];
    for (const layer of layers) parents.push(await this.#parts.finder.find(layer));
    const above = parents.find((parent) => stackOrder(parent.name, name) > 0);
    if (above === undefined) return parents;
    const message = `${name} cannot be made on ${above.name}, whose number puts it above`;
    throw new PlyboxError("input/invalid", message, { field: "parent" });
  }

  async #finish(built: LayerManifest, { replace = false }: Pick<BuildOptions, "replace">): Promise<LayerManifest> {
    await this.#makeRoom(built);
    await this.#elsewhere?.keep(built.name, replace);
    return built;
  }

  async #makeRoom(built: LayerManifest): Promise<void> {
    if (!this.#parts.collector.hasBudget) return;
    try {
      const { isOverBudget, layerBytes } = await this.#parts.collector.collect({}, built.digest);
      if (isOverBudget) this.#parts.log.warn({ layerBytes }, "layers that are stood on take more than the budget");
    } catch (err) {
      this.#parts.log.warn({ err }, "no room could be made for layers");
    }
  }
}

function parseNewName(name: string): LayerName {
  const parsed = parseLayerName(name, "name");
  if (!isBuiltIn(parsed)) return parsed;
  throw new PlyboxError("input/invalid", `${parsed} is made by Plybox itself; choose another name`, { field: "name" });
}
