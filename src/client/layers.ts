import type { BuildProgressView, CapturedLayer, ErrorBody, LayerListView, LayerView } from "../api/contract.ts";
import type { PresetName } from "../model/presets.ts";
import { bodyOf, jsonOf } from "./bodies.ts";
import type { CallOptions, Connection } from "./connection.ts";
import type { FileContent } from "./files.ts";
import type { ExportLayersOptions, ImportLayersOptions, LayerSignature, SignedLayer } from "./layer-archives.ts";
import { exportLayers, importLayers } from "./layer-archives.ts";
import { PlyboxApiError, unreachable } from "./plybox-api-error.ts";
import { serverSentEvents } from "./server-sent-events.ts";
import type { TransportRequest } from "./transport.ts";

/** How far a build is. */
export type BuildProgress = BuildProgressView;

/** How a layer is made; as the daemon is configured where nothing is said. */
export interface NewLayerOptions extends CallOptions {
  /** Take the name from the layer that has it. */
  readonly replace?: boolean;
  readonly format?: "squashfs" | "erofs";
  readonly algorithm?: string;
  readonly level?: number;
  /** A power of two from 4096 to 1048576. */
  readonly blockBytes?: number;
  /** Told how far it is, a few times a second. */
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined;
}

export interface BuildLayerOptions extends NewLayerOptions {
  /** The layers that it was made on, by name or digest; the manifest has their digests. Of a tree alone. */
  readonly parents?: readonly string[];
  /** What is sent: a tree (`tar`, the default), or an image in the OCI layout or as `docker save` has it. */
  readonly archive?: "tar" | "oci-archive" | "docker-archive";
  /** Which image of several. */
  readonly image?: string;
  /** `OS/ARCHITECTURE` of an image that there are several of; the daemon's own by default. */
  readonly platform?: string;
}

export interface BuildDockerfileOptions extends NewLayerOptions {
  /** Path of the Dockerfile in the archive; `Dockerfile` by default. */
  readonly dockerfile?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** A stage, by name or number; the last one by default. */
  readonly target?: string;
  /** Do every step again, and ask for images again. */
  readonly noCache?: boolean;
  /** Of each command, with what it starts. */
  readonly memoryBytes?: number;
}

export interface PullLayerOptions extends NewLayerOptions {
  readonly platform?: string;
  /** For the registry; by default what the daemon's own user has in its file. */
  readonly credentials?: { readonly username: string; readonly password: string };
}

export interface CaptureLayerOptions extends NewLayerOptions {
  /** A checkpoint, by id or name. */
  readonly checkpoint?: string;
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
   * Makes a layer of an archive, plain or compressed by gzip, zstd, xz or bzip2: a tree in tar's formats ustar, pax or
   * GNU, or an image.
   * @param name three digits, its place in the stack, and a name: `100-python`
   */
  async build(name: string, archive: FileContent, options: BuildLayerOptions = {}): Promise<LayerView> {
    const { parents = [], signal, onProgress, archive: kind, ...rest } = options;
    const query = new URLSearchParams();
    for (const [field, value] of Object.entries({ name, archive: kind, ...rest })) {
      if (value !== undefined) query.set(field, String(value));
    }
    for (const parent of parents) query.append("parent", parent);
    const asked = { headers: { "content-type": "application/x-tar" }, body: bodyOf(archive) };
    return await this.#make(`/v1/layers?${query}`, asked, { signal, onProgress });
  }

  /**
   * Makes a layer of a Dockerfile, whose steps are run in sandboxes without network.
   * @param context a tar archive, plain or compressed, of what it copies from, with the Dockerfile in it
   */
  async buildDockerfile(name: string, context: FileContent, options: BuildDockerfileOptions = {}): Promise<LayerView> {
    const { buildArgs = {}, signal, onProgress, ...rest } = options;
    const query = new URLSearchParams();
    for (const [field, value] of Object.entries({ name, ...rest })) {
      if (value !== undefined) query.set(field, String(value));
    }
    for (const [argument, value] of Object.entries(buildArgs)) query.append("buildArg", `${argument}=${value}`);
    const asked = { headers: { "content-type": "application/x-tar" }, body: bodyOf(context) };
    return await this.#make(`/v1/layers/dockerfile?${query}`, asked, { signal, onProgress });
  }

  /**
   * Makes a layer of an image in a registry.
   * @param image `docker://HOST/NAME:TAG` or `docker://HOST/NAME@DIGEST`
   */
  async pull(name: string, image: string, options: PullLayerOptions = {}): Promise<LayerView> {
    const { signal, onProgress, ...rest } = options;
    const asked = { headers: JSON_HEADERS, body: JSON.stringify({ name, image, ...rest }) };
    return await this.#make("/v1/layers/pull", asked, { signal, onProgress });
  }

  /** Makes `busybox`, or a layer of Debian's packages: `debian`, or `python`, `node`, `go`, `rust`, `build-tools` on it. */
  async preset(preset: PresetName, options: NewLayerOptions = {}): Promise<LayerView> {
    const { signal, onProgress, ...rest } = options;
    const asked = { headers: JSON_HEADERS, body: JSON.stringify({ preset, ...rest }) };
    return await this.#make("/v1/layers/presets", asked, { signal, onProgress });
  }

  /**
   * Makes a layer of what a sandbox has written, by now or at a checkpoint, on the layers that it stands on. One whose
   * upper has no snapshots stands still meanwhile.
   */
  async fromSandbox(name: string, sandbox: string, options: CaptureLayerOptions = {}): Promise<CapturedLayer> {
    const { signal, onProgress, ...rest } = options;
    const asked = { headers: JSON_HEADERS, body: JSON.stringify({ name, sandbox, ...rest }) };
    return await this.#make<CapturedLayer>("/v1/layers/sandboxes", asked, { signal, onProgress });
  }

  async #make<Made extends LayerView>(
    path: string,
    { headers, body }: Required<Pick<TransportRequest, "headers" | "body">>,
    { signal, onProgress }: Pick<NewLayerOptions, "onProgress"> & CallOptions,
  ): Promise<Made> {
    const asked = { headers: { ...headers, ...(onProgress && { accept: "text/event-stream" }) }, body };
    const answer = await this.#connection.open("POST", path, asked, { signal });
    if (onProgress === undefined) return await jsonOf(answer);
    for await (const { event, data } of serverSentEvents(answer.chunks())) {
      const value = JSON.parse(data);
      if (event === "progress") onProgress(value as BuildProgress);
      else if (event === "layer") return value as Made;
      else if (event === "error") throw new PlyboxApiError(value as ErrorBody["error"], 0);
    }
    throw unreachable("the daemon went away before the layer was made");
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

const JSON_HEADERS = { "content-type": "application/json" };

const pathOf = (name: string): string => `/v1/layers/${encodeURIComponent(name)}`;
