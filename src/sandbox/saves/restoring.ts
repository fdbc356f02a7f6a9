import { HOST_LAYER } from "../../layers/layer-builder.ts";
import type { LayerLease } from "../../layers/layer-leases.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { LayerManifest } from "../../model/layer.ts";
import { isSaveLayer, saveLayerName } from "../../model/saved-sandbox.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";

/**
 * What a sandbox of any host had written when it was saved last, with the layers that it was written on. Those of the
 * machine itself are this machine's.
 * @param ref the sandbox's name, or its id where it had none
 * @throws PlyboxError `checkpoint/not-found`, `remote/…`, `layer/…`
 */
export async function acquireSaved(
  { layers, saves }: LifecycleContext,
  tenant: string,
  ref: string,
): Promise<LayerLease> {
  const name = saveLayerName(tenant, ref);
  await saves?.pull(name).catch((error: unknown) => {
    const isMissing = error instanceof PlyboxError && error.code === "layer/not-found";
    if (!isMissing) throw error;
    const message = `nothing is saved of a sandbox ${JSON.stringify(ref)}`;
    throw new PlyboxError("checkpoint/not-found", message, { field: "restore", cause: error });
  });
  const { provenance } = await layers.inspect(name);
  const isHost = provenance.inputs?.some((input) => input.kind === "layer" && input.name === HOST_LAYER) ?? false;
  return await layers.acquire([...(isHost ? [HOST_LAYER] : []), name]);
}

/**
 * Refuses layers that hold what somebody's sandbox has written, but for those that are had already: they come by a restore.
 * @throws PlyboxError `layer/not-found`, as of what does not exist
 */
export async function requireNoSaves(lease: LayerLease, had: readonly LayerManifest[] = []): Promise<void> {
  const isHad = (digest: string): boolean => had.some((layer) => layer.digest === digest);
  const saved = lease.layers.find(({ name, digest }) => isSaveLayer(name) && !isHad(digest));
  if (saved === undefined) return;
  await lease.release();
  throw new PlyboxError("layer/not-found", `there is no layer ${saved.name} to stand on; restore its sandbox`);
}
