import type { LayerListView, LayerView } from "../api/contract.ts";
import { bodyOf, jsonOf } from "./bodies.ts";
import type { CallOptions, Connection } from "./connection.ts";
import type { FileContent } from "./files.ts";
import type { ExportLayersOptions, ImportLayersOptions, LayerSignature, SignedLayer } from "./layer-archives.ts";
import { exportLayers, importLayers } from "./layer-archives.ts";

/** How a layer is made; as the daemon is configured where nothing is said. */
export interface BuildLayerOptions extends CallOptions {
  /** Take the name from the layer that has it. */
  readonly replace?: boolean;
  /** The layers that it was made on, by name or digest; the manifest has their digests. */
  readonly parents?: readonly string[];
  readonly format?: "squashfs" | "erofs";
  readonly algorithm?: string;
  readonly level?: number;
  /** A power of two from 4096 to 1048576. */
  readonly blockBytes?: number;
}

/** The daemon's layers. */
export class Layers {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async list(options?: CallOptions): Promise<readonly LayerView[]> {
    return (await this.#connection.json<LayerListView>("GET", "/v1/layers", undefined, options)).layers;
  }

  /**
   * Makes a layer of a tar archive: ustar, pax or GNU, plain or compressed by gzip, zstd, xz or bzip2.
   * @param name three digits, its place in the stack, and a name: `100-python`
   */
  async build(name: string, archive: FileContent, options: BuildLayerOptions = {}): Promise<LayerView> {
    const { replace, parents = [], format, algorithm, level, blockBytes, signal } = options;
    const fields = { name, replace, format, algorithm, level, blockBytes };
    const query = new URLSearchParams();
    for (const [field, value] of Object.entries(fields)) if (value !== undefined) query.set(field, String(value));
    for (const parent of parents) query.append("parent", parent);
    const asked = { headers: { "content-type": "application/x-tar" }, body: bodyOf(archive) };
    return await jsonOf(await this.#connection.open("POST", `/v1/layers?${query}`, asked, { signal }));
  }

  /** Layers as one file, a tar archive in the OCI layout, as it comes: one that breaks off throws. */
  async export(names: readonly string[], options: ExportLayersOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    return await exportLayers(this.#connection, names, options);
  }

  /** Takes in what `export` gave, whole or not at all; those that others were made on come first. */
  async import(archive: FileContent, options: ImportLayersOptions = {}): Promise<readonly LayerView[]> {
    return await importLayers(this.#connection, archive, options);
  }

  /** A layer's manifest as it is signed, and who signed it. */
  async signatures(name: string, options?: CallOptions): Promise<SignedLayer> {
    return await this.#connection.json("GET", `${pathOf(name)}/signatures`, undefined, options);
  }

  /** Keeps a signature with a layer, made over `manifestDigest` as docs/portability.md says. */
  async addSignature(name: string, signature: LayerSignature, options?: CallOptions): Promise<SignedLayer> {
    return await this.#connection.json("POST", `${pathOf(name)}/signatures`, signature, options);
  }

  async get(name: string, options?: CallOptions): Promise<LayerView> {
    return await this.#connection.json("GET", pathOf(name), undefined, options);
  }

  /** Removes a layer that no sandbox uses. */
  async remove(name: string, options?: CallOptions): Promise<void> {
    await this.#connection.json("DELETE", pathOf(name), undefined, options);
  }
}

const pathOf = (name: string): string => `/v1/layers/${encodeURIComponent(name)}`;
