import { appendFile, mkdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../base/atomic-file.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Digest, LayerName } from "../model/ids.ts";
import { parseLayerName } from "../model/ids.ts";
import type { BuildProgress, ImageFormat, LayerManifest, PackingRequest, Provenance } from "../model/layer.ts";
import { packArchive } from "./archive-layer.ts";
import { makeBusyboxTree } from "./busybox-tree.ts";
import type { Catalog } from "./catalog.ts";
import type { Packing, Packings } from "./compression.ts";
import { choosePacking } from "./compression.ts";
import { isCurrent, makeHostTree } from "./host-tree.ts";
import type { ImageRequest } from "./oci/image-layer.ts";
import { packImageLayers } from "./oci/image-layer.ts";
import { imagePath, packImage } from "./pack-image.ts";
import type { PlanWork } from "./pack-plan.ts";
import type { PackingProbe } from "./packing-probe.ts";
import { packPreset } from "./presets/preset-layer.ts";
import type { Preset } from "./presets/presets.ts";
import { giveName } from "./publish.ts";
import { scanTree } from "./scan-tree.ts";
import { digestFile, digestTree } from "./tree-digest.ts";

export const HOST_LAYER = parseLayerName("000-host");
export const BUSYBOX_LAYER = parseLayerName("000-busybox");

export interface BuildOptions {
  /** Take the name from the layer that has it. Sandboxes that stand on that one keep it. */
  readonly replace?: boolean;
  /** In place of how this store packs. */
  readonly packing?: PackingRequest;
  /** The layers that it was made on, as anybody names them. */
  readonly parents?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

export interface TarBuildOptions extends BuildOptions {
  /** Where the archive comes from, for the manifest: a path, or who sent it. */
  readonly source: string;
}

/** An image is a whole file system, which stands on nothing. */
export type ImageBuildOptions = Omit<BuildOptions, "parents">;

interface BuilderOptions {
  readonly storeDirectory: string;
  readonly packings: Packings;
  readonly probe: PackingProbe;
  /** Goes before each path of the machine that the host layer shows; empty but in tests. */
  readonly machine: string;
  readonly busybox: string;
  /** Of programs that speak to the network. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Leaves an image of the format that `work` names in `staging`, and tells what is to be written down of it. */
export type Pack = (staging: string, work: PlanWork) => Promise<Pick<LayerManifest, "provenance" | "config">>;
/** How what is packed is packed: as the store does it, or in a way that is no user's choice. */
export type PackOptions = Pick<BuildOptions, "signal" | "onProgress"> & { readonly packing?: PackingRequest | Packing };

/** A layer that another is made on. */
export type Parent = Pick<LayerManifest, "name" | "digest">;
/** With the parents that were meant. */
type OnParents<Options extends BuildOptions> = Omit<Options, "parents"> & { readonly parents?: readonly Parent[] };
type Make = (staging: string) => Promise<LayerManifest>;
type Keep = (digest: Digest) => void | Promise<void>;
type Work = Omit<OnParents<BuildOptions>, "packing"> &
  Pick<LayerManifest, "name" | "provenance"> & { readonly packing: Packing; readonly fileTime?: number };
/** What is said of an image that is packed. */
type Description = Pick<Work, "packing" | "name" | "provenance" | "parents"> & Pick<LayerManifest, "config">;

/** Makes layers and puts them into the catalog, whole or not at all. */
export class LayerBuilder {
  readonly #catalog: Catalog;
  readonly #options: BuilderOptions;

  constructor(catalog: Catalog, options: BuilderOptions) {
    this.#catalog = catalog;
    this.#options = options;
  }

  /** See `LayerMaker.fromDirectory`. */
  async fromDirectory(name: LayerName, directory: string, options: OnParents<BuildOptions>): Promise<LayerManifest> {
    const source = await this.#sourceDirectory(directory);
    const packing = choosePacking(this.#options.packings, options.packing);
    const provenance = { kind: "directory", source };
    const make: Make = (staging) => this.#pack(source, staging, { ...options, packing, name, provenance });
    return await this.#publish(name, make, options.replace ?? false);
  }

  /** See `LayerMaker.fromTar`. */
  async fromTar(
    name: LayerName,
    archive: AsyncIterable<Buffer>,
    options: OnParents<TarBuildOptions>,
  ): Promise<LayerManifest> {
    const { source, replace = false, parents = [] } = options;
    const packing = choosePacking(this.#options.packings, options.packing);
    const make: Make = async (staging) => {
      const digest = `sha256:${await packArchive(archive, staging, await this.#planWork(packing, options))}`;
      const inputs = [{ kind: "archive" as const, name: source, digest }];
      const provenance = { kind: "tar", source: `${source} ${digest}`, inputs };
      return await this.#describeImage(staging, { packing, name, parents, provenance });
    };
    return await this.#publish(name, make, replace);
  }

  /** See `LayerMaker.fromImage`. */
  async fromImage(name: LayerName, request: ImageRequest, options: ImageBuildOptions): Promise<LayerManifest> {
    const packing = choosePacking(this.#options.packings, options.packing);
    const make: Make = async (staging) => {
      const work = { ...(await this.#planWork(packing, options)), environment: this.#options.environment };
      const notes = await packImageLayers(request, staging, work);
      return await this.#describeImage(staging, { packing, name, ...notes });
    };
    return await this.#publish(name, make, options.replace ?? false);
  }

  /** See `LayerMaker.preset`. */
  async fromPreset(
    { name, packages }: Preset,
    base: LayerManifest | undefined,
    options: ImageBuildOptions,
  ): Promise<LayerManifest> {
    const packing = choosePacking(this.#options.packings, options.packing);
    const parents = base === undefined ? [] : [base];
    const make: Make = async (staging) => {
      const work = { ...(await this.#planWork(packing, options)), packages, environment: this.#options.environment };
      const provenance = await packPreset(staging, { ...work, ...(base && { base: await this.#imageOf(base) }) });
      return await this.#describeImage(staging, { packing, name, parents, provenance });
    };
    return await this.#publish(name, make, options.replace ?? false);
  }

  /**
   * Makes a layer of what `pack` leaves.
   * @param keep is told of it when it is in the catalog, and gives it a name or another reason to stay
   */
  async packed(
    name: LayerName,
    pack: Pack,
    options: PackOptions & Pick<OnParents<BuildOptions>, "parents" | "replace">,
    keep: Keep = (digest) => giveName(this.#catalog, name, digest, options.replace ?? false),
  ): Promise<LayerManifest> {
    const { packing: wanted, parents = [], ...way } = options;
    const packing = wanted && "compression" in wanted ? wanted : choosePacking(this.#options.packings, wanted);
    const make: Make = async (staging) => {
      const notes = await pack(staging, await this.#planWork(packing, way));
      return await this.#describeImage(staging, { packing, name, parents, ...notes });
    };
    return await this.#install(name, make, keep);
  }

  async #imageOf(layer: LayerManifest): Promise<{ readonly image: string; readonly format: ImageFormat }> {
    const image = await this.#catalog.layers.soundPath(layer);
    if (layer.format !== "dir") return { image, format: layer.format };
    throw new PlyboxError("input/invalid", `${layer.name} has no image`, { field: "name" });
  }

  async #planWork(packing: Packing, { signal, onProgress }: ImageBuildOptions): Promise<PlanWork> {
    await this.#options.probe.require(packing);
    const { bounds } = this.#catalog.layers;
    return { packing, bounds, ...(signal && { signal }), ...(onProgress && { onProgress }) };
  }

  /** See `LayerMaker.preset`. */
  async busybox({ replace = false, ...options }: ImageBuildOptions = {}): Promise<LayerManifest> {
    const packing = choosePacking(this.#options.packings, options.packing);
    const make: Make = async (staging) => {
      const tree = join(staging, "tree");
      await mkdir(tree);
      const version = await makeBusyboxTree(this.#options.busybox, tree);
      const provenance = { kind: "busybox", source: `${this.#options.busybox}: ${version}` };
      const work = { ...options, packing, name: BUSYBOX_LAYER, provenance };
      // The same busybox gives the same layer, whenever it is built.
      const manifest = await this.#pack(tree, staging, { ...work, fileTime: 0 });
      await rm(tree, { recursive: true });
      return manifest;
    };
    return await this.#publish(BUSYBOX_LAYER, make, replace);
  }

  /** Makes the host layer anew; sandboxes that stand on an older one keep it. */
  async host(): Promise<LayerManifest> {
    let inputs = "";
    const make: Make = async (staging) => {
      const tree = join(staging, "tree");
      await mkdir(tree);
      const made = await makeHostTree(this.#options.machine, tree);
      inputs = JSON.stringify([...made.inputs]);
      const { digest, bytes } = await digestTree(tree);
      const provenance = { kind: "host", source: `${this.#options.machine}/` };
      return {
        ...describe(HOST_LAYER, digest, bytes),
        format: "dir",
        compression: null,
        provenance,
        binds: made.binds,
      };
    };
    const manifest = await this.#publish(HOST_LAYER, make, true);
    await writeFileAtomically(this.#inputsFile(manifest.digest), inputs, 0o600);
    return manifest;
  }

  /** Whether the host layer is what `host` would make now. */
  async isHostCurrent(digest: Digest): Promise<boolean> {
    try {
      const inputs = JSON.parse(await readFile(this.#inputsFile(digest), "utf8")) as [string, string][];
      return isCurrent(this.#options.machine, new Map(inputs));
    } catch {
      return false;
    }
  }

  #inputsFile(digest: Digest): string {
    return join(this.#catalog.layers.directory(digest), "inputs");
  }

  async #sourceDirectory(directory: string): Promise<string> {
    const refuse = (reason: string): never => {
      throw new PlyboxError("input/invalid", `${JSON.stringify(directory)} ${reason}`, { field: "directory" });
    };
    const source = await realpath(directory).catch(() => refuse("does not exist"));
    if (!(await stat(source)).isDirectory()) refuse("is not a directory");
    await this.#catalog.prepare();
    const store = await realpath(this.#options.storeDirectory);
    if (`${store}/`.startsWith(source === "/" ? "/" : `${source}/`)) refuse("holds the layer store itself");
    return source;
  }

  async #pack(source: string, staging: string, work: Work): Promise<LayerManifest> {
    const { name, provenance, parents = [], fileTime, signal, onProgress } = work;
    const { format, compression } = work.packing;
    await this.#options.probe.require(work.packing);
    const image = imagePath(staging, format);
    const { bytes: totalBytes, mounts } = await scanTree(source, signal);
    await packImage(format, {
      ...{ source, image, compression, totalBytes, mounts },
      ...(fileTime !== undefined && { fileTime }),
      ...(signal !== undefined && { signal }),
      ...(onProgress !== undefined && { onProgress }),
    });
    return await this.#describeImage(staging, { packing: work.packing, name, parents, provenance });
  }

  async #describeImage(
    staging: string,
    { packing, parents = [], provenance, ...fields }: Description,
  ): Promise<LayerManifest> {
    const image = imagePath(staging, packing.format);
    // Behind the file system, which ends before: two images of one tree are two layers where they are run otherwise.
    if (fields.config !== undefined) await appendFile(image, JSON.stringify(fields.config));
    const digest = await digestFile(image);
    const { size } = await stat(image);
    const standing = { parents: parents.map((parent) => parent.digest), provenance: onParents(provenance, parents) };
    return { ...describe(fields.name, digest, size), ...packing, ...fields, ...standing, binds: [] };
  }

  #publish(name: LayerName, make: Make, replace: boolean): Promise<LayerManifest> {
    return this.#install(name, make, (digest) => giveName(this.#catalog, name, digest, replace));
  }

  async #install(name: LayerName, make: Make, keep: Keep): Promise<LayerManifest> {
    const catalog = this.#catalog;
    await catalog.prepare();
    await catalog.sweepStaging();
    const staging = await catalog.stage();
    try {
      const manifest = await make(staging);
      // Without a name yet, only the pin keeps a sweep from taking it.
      catalog.pins.hold(manifest.digest);
      try {
        await catalog.install(staging, manifest);
        await keep(manifest.digest);
      } finally {
        catalog.pins.drop(manifest.digest);
        await catalog.discardUnnamed(manifest.digest);
      }
      return await catalog.layers.manifest(manifest.digest, name);
    } catch (error) {
      throw error instanceof PlyboxError ? error : buildFailed(name, error as NodeJS.ErrnoException);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }
}

function onParents(provenance: Provenance, parents: readonly Parent[]): Provenance {
  if (parents.length === 0) return provenance;
  const layers = parents.map(({ name, digest }) => ({ kind: "layer" as const, name, digest: `sha256:${digest}` }));
  return { ...provenance, inputs: [...layers, ...(provenance.inputs ?? [])] };
}

const describe = (name: LayerName, digest: Digest, bytes: number) => ({
  name,
  digest,
  bytes,
  createdAt: new Date().toISOString(),
  parents: [] as readonly Digest[],
});

function buildFailed(name: LayerName, cause: NodeJS.ErrnoException): PlyboxError {
  const message = `layer ${name} could not be built: ${cause.message}`;
  return new PlyboxError("layer/build-failed", message, {
    cause,
    ...(cause.code !== undefined && { errno: cause.code }),
  });
}
