import type { LayerManifest } from "../model/layer.ts";
import { json, noContent } from "./answers.ts";
import type { LayerView } from "./contract.ts";
import type { Handlers } from "./route.ts";
import type { LayerRoutes } from "./routes.ts";

/** What the API needs of the layer store. `layer` is a name, its part after the number, or a digest. */
export interface Layers {
  list(): Promise<readonly LayerManifest[]>;
  /** Throws `layer/not-found`. */
  inspect(layer: string): Promise<LayerManifest>;
  /** Throws `layer/not-found`, and `layer/in-use` while a sandbox stands on it. */
  remove(layer: string): Promise<void>;
}

export function layerHandlers(layers: Layers): Handlers<LayerRoutes> {
  return {
    async listLayers() {
      const manifests = await layers.list();
      return json(200, { layers: manifests.map(layerView) });
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

function layerView(manifest: LayerManifest): LayerView {
  const { name, digest, format, bytes, compression, createdAt, parents, provenance, binds } = manifest;
  return { name, digest, format, bytes, compression, createdAt, parents: [...parents], provenance, binds: [...binds] };
}
