import type { LayerName } from "../model/ids.ts";
import type { LayerManifest } from "../model/layer.ts";
import { json, noContent } from "./answers.ts";
import type { LayerView } from "./contract.ts";
import type { Handlers } from "./route.ts";
import type { LayerRoutes } from "./routes.ts";

/** What the API needs of the layer store. Every method throws PlyboxError; `layer/not-found` where none has the name. */
export interface Layers {
  list(): Promise<readonly LayerManifest[]>;
  get(name: LayerName): Promise<LayerManifest>;
  /** Throws `layer/in-use` while a sandbox stands on it. */
  remove(name: LayerName): Promise<void>;
}

export function layerHandlers(layers: Layers): Handlers<LayerRoutes> {
  return {
    async listLayers() {
      const manifests = await layers.list();
      return json(200, { layers: manifests.map(layerView) });
    },
    async getLayer({ params }) {
      return json(200, layerView(await layers.get(params.name as LayerName)));
    },
    async removeLayer({ params }) {
      await layers.remove(params.name as LayerName);
      return noContent();
    },
  };
}

function layerView(manifest: LayerManifest): LayerView {
  const { name, digest, format, bytes, compression, createdAt, parents, provenance, binds } = manifest;
  return { name, digest, format, bytes, compression, createdAt, parents: [...parents], provenance, binds: [...binds] };
}
