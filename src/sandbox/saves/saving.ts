import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { choosePacking } from "../../layers/compression.ts";
import { imagePath } from "../../layers/pack-image.ts";
import { PlyboxError } from "../../model/errors.ts";
import { eventOf } from "../../model/event.ts";
import type { LayerName } from "../../model/ids.ts";
import type { LayerManifest, PackingRequest } from "../../model/layer.ts";
import type { SandboxSpec } from "../../model/sandbox.ts";
import { isSaveLayer, saveLayerName } from "../../model/saved-sandbox.ts";
import { flattenPlies } from "../../snapshots/plies/flatten.ts";
import { packPly } from "../../snapshots/plies/pack-ply.ts";
import { hasUpper, upperPath } from "../launch-plan.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { save } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireLease } from "../live-sandbox.ts";

/** Object storage, where it is to hold what sandboxes have written. */
export interface Saves {
  /** Sends a layer, in place of what its name meant there. */
  push(layer: LayerName): Promise<void>;
  /** Fetches a layer, in place of what its name means here. Throws `layer/not-found`. */
  pull(layer: LayerName): Promise<void>;
}

/**
 * Sends what a sandbox without processes has written to the object storage, once for each time that it ran; nothing where
 * none is to hold it. To be called exclusively.
 * @throws PlyboxError `remote/…`, `layer/…`; what the sandbox wrote stays, and the next call tries again
 */
export async function ensureSaved(context: LifecycleContext, live: LiveSandbox): Promise<void> {
  const { saves } = context;
  if (saves === undefined || !isUnsaved(context, live)) return;
  const { incarnation } = live.sandbox;
  const name = saveLayerName(live.sandbox.tenant, live.sandbox.name ?? live.sandbox.id);
  const { bytes } = await pack(context, live, name);
  await saves.push(name);
  save(context, live, { ...live.sandbox, saved: incarnation });
  context.events.emit(eventOf(live.sandbox, { type: "sandbox.saved", bytes }));
  // What is kept is there, and a name here would only grow old.
  await context.layers.remove(name).catch((err) => context.log.debug({ err }, "a saved layer stays here for now"));
}

/** Whether a sandbox without processes has written what object storage is to hold and does not. */
export function isUnsaved({ saves, places }: LifecycleContext, { sandbox }: LiveSandbox): boolean {
  const { state, saved, incarnation } = sandbox;
  const isAtRest = state.kind === "stopped" || state.kind === "failed";
  return saves !== undefined && isAtRest && saved !== incarnation && hasUpper(sandbox, places);
}

/** All that it has written since its layers were made: what it was restored to, and its upper on that. */
async function pack(context: LifecycleContext, live: LiveSandbox, name: LayerName): Promise<LayerManifest> {
  const { layers, mounts } = requireLease(live);
  const restored = layers.findIndex((layer) => isSaveLayer(layer.name));
  const upper = join(upperPath(live.sandbox, context.places), "upper");
  const plies = [...(restored === -1 ? [] : [mounts[restored]?.path ?? ""]), upper];
  const { format, compression } = choosePacking(context.packings, undefined, "snapshot");
  const { level, ...rest } = compression;
  const packing: PackingRequest = { format, ...rest, ...(level !== null && { level }) };
  return await context.layers.make.packed(
    name,
    async (staging, { packing: chosen, bounds }) => {
      const flat = join(staging, "flat");
      const source = plies.length === 1 ? upper : await flatten(plies, flat);
      const most = { entries: bounds.inodes, bytes: bounds.unpackedBytes };
      await packPly({ source, image: imagePath(staging, chosen.format), packing: chosen, most });
      await rm(flat, { recursive: true, force: true });
      return { provenance: { kind: "sandbox", source: live.sandbox.id } };
    },
    {
      ...{ packing, replace: true },
      parents: layers.filter((_, index) => index !== restored).map(({ digest }) => digest),
    },
  );
}

async function flatten(plies: readonly string[], target: string): Promise<string> {
  await mkdir(target, { mode: 0o700 });
  await flattenPlies({ plies, target, isLowest: false });
  return target;
}

type SavableSpec = Pick<SandboxSpec, "upper" | "restore" | "layers">;

/** @throws PlyboxError `input/invalid` for what cannot be saved when it has stopped */
export function requireSavable({ saves }: LifecycleContext, { upper, restore, layers }: SavableSpec): void {
  if (restore !== undefined && saves === undefined) {
    const message = "nothing is saved here: set PLYBOX_REMOTE, and PLYBOX_REMOTE_SANDBOXES to true";
    throw new PlyboxError("input/invalid", message, { field: "restore" });
  }
  if (restore !== undefined && layers !== undefined) {
    throw new PlyboxError("input/invalid", "a restored sandbox has layers already", { field: "layers" });
  }
  const isImage = upper?.kind === "disk" && upper.bytes !== undefined && upper.snapshots !== true;
  if (saves === undefined || !isImage) return;
  const message = "an upper on disk of a size cannot be saved in object storage; create it with snapshots";
  throw new PlyboxError("input/invalid", message, { field: "upper" });
}
