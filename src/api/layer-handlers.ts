import { PassThrough } from "node:stream";
import type { LayerManifest, PackingRequest } from "../model/layer.ts";
import { json, noContent } from "./answers.ts";
import type { LayerView } from "./contract.ts";
import { receiveBody } from "./file-transfer.ts";
import type { Handlers } from "./route.ts";
import type { LayerRoutes } from "./routes.ts";

/** What the API needs of the layer store. `layer` is a name, its part after the number, or a digest. */
export interface Layers {
  list(): Promise<readonly LayerManifest[]>;
  /** Throws `layer/not-found`. */
  inspect(layer: string): Promise<LayerManifest>;
  /** Makes a layer of a tar archive. Throws `input/invalid`, `file/bad-archive`, `layer/exists` and what a build fails with. */
  buildFromTar(name: string, archive: AsyncIterable<Buffer>, options: BuildFromTarOptions): Promise<LayerManifest>;
  /** Throws `layer/not-found`, and `layer/in-use` while a sandbox stands on it. */
  remove(layer: string): Promise<void>;
}

export interface BuildFromTarOptions {
  /** Who sent it, for the manifest. */
  readonly source: string;
  readonly replace: boolean;
  readonly parents: readonly string[];
  readonly packing: PackingRequest;
  readonly signal: AbortSignal;
}

export function layerHandlers(layers: Layers): Handlers<LayerRoutes> {
  return {
    async listLayers() {
      const manifests = await layers.list();
      return json(200, { layers: manifests.map(layerView) });
    },
    async buildLayer({ query, incoming, signal }) {
      const { name, replace = false, parent: parents = [], ...packing } = query;
      const archive = new PassThrough();
      // Whichever fails first is the answer: a body that is cut off, or a build that wants no more of it.
      const building = layers.buildFromTar(name, archive, { source: "upload", replace, parents, packing, signal });
      await Promise.race([receiveBody(incoming, archive), building]);
      return json(201, layerView(await building));
    },
    async getLayer({ params }) {
      return json(200, layerView(await layers.inspect(params.layer)));
    },
    async removeLayer({ params }) {
      await layers.remove(params.layer);
      return noContent();
    },
  };
}

type Writable<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? Writable<Item>[]
    : { -readonly [Key in keyof T]: Writable<T[Key]> };

/** A manifest is shown as it is; a copy, since an answer may be written to. */
export const layerView = (manifest: LayerManifest): LayerView => structuredClone(manifest) as Writable<LayerManifest>;
