import { existsSync } from "node:fs";
import { join } from "node:path";
import { choosePacking } from "../../layers/compression.ts";
import { imagePath } from "../../layers/pack-image.ts";
import type { Checkpoint } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { CheckpointId } from "../../model/ids.ts";
import { newCheckpointId } from "../../model/ids.ts";
import type { BuildProgress, LayerManifest, PackingRequest } from "../../model/layer.ts";
import { packPly } from "../../snapshots/plies/pack-ply.ts";
import { upperPath } from "../launch-plan.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { exclusively } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireState } from "../transitions.ts";
import { originOf } from "./checkpoint-table.ts";
import { dropCheckpoints } from "./dropping.ts";
import { findPoint, requireCheckpointed, requireKept } from "./snapshots.ts";
import { freezeCommands } from "./taking.ts";
import { inPool } from "./unpacking.ts";

export interface CaptureWish {
  /** What the layer is called. */
  readonly name: string;
  /** A checkpoint, by id or name; what the sandbox holds now without. */
  readonly point?: string;
  readonly replace?: boolean;
  /** In place of how snapshots are packed. */
  readonly packing?: PackingRequest;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

export interface Capture {
  readonly layer: LayerManifest;
  /** How the bytes stood still: shared with the sandbox until it writes, or because nothing in it ran meanwhile. */
  readonly mechanism: "copy-on-write" | "in-place";
  /** Whether commands that ran stood still: for a moment with `copy-on-write`, all the while with `in-place`. */
  readonly frozen: boolean;
  /** Whether the checkpoint had to be unpacked for it. */
  readonly unpacked: boolean;
}

/**
 * Makes a layer of what a sandbox has written, on the layers that it was written on. Where its upper is copied on write it
 * goes on meanwhile; elsewhere it stands still until all is packed.
 * @throws PlyboxError `layer/…`, `checkpoint/…`, `host/missing`, `aborted`, `input/invalid` for a name whose number puts it
 *   below what it is made on
 */
export async function captureLayer(context: LifecycleContext, ref: string, wish: CaptureWish): Promise<Capture> {
  if (!context.mountsImages)
    throw new PlyboxError("host/missing", "layers of sandboxes need a daemon that runs as root");
  const { sandbox } = context.live.find(ref);
  if (sandbox.lineage !== null) return await captureCopy(context, ref, wish);
  if (wish.point !== undefined) requireCheckpointed(context, sandbox);
  return await exclusively(context, ref, (live) => captureInPlace(context, live, wish));
}

async function captureCopy(context: LifecycleContext, ref: string, wish: CaptureWish): Promise<Capture> {
  const { copy, of, frozen, unpacked } = await exclusively(context, ref, (live) => takeCopy(context, live, wish.point));
  const { pool } = requireCheckpointed(context, copy.origin);
  try {
    const source = join(pool.checkpointPath(copy.id), "upper");
    const written = {
      source,
      digests: copy.digests,
      from: of === null ? copy.origin.id : `${copy.origin.id} at ${of}`,
    };
    return { layer: await pack(context, written, wish), mechanism: "copy-on-write", frozen, unpacked };
  } finally {
    await context.lock.run(copy.origin.id, () => dropCheckpoints(context, [copy]));
  }
}

interface Copy {
  readonly copy: Checkpoint;
  readonly of: CheckpointId | null;
  readonly frozen: boolean;
  readonly unpacked: boolean;
}

/**
 * A checkpoint that nobody sees, so that nobody removes it: for everybody, and for the next daemon, it is still being made.
 */
async function takeCopy(context: LifecycleContext, live: LiveSandbox, ref: string | undefined): Promise<Copy> {
  const { table, pool, lineage } = requireCheckpointed(context, live.sandbox);
  const point = ref === undefined ? undefined : findPoint(table, ref, live.sandbox);
  if (point !== undefined) requireKept(point);
  else requireState("make a layer of", live.sandbox.state, "running", "paused", "stopped", "failed");
  const copy: Checkpoint = {
    ...{ id: newCheckpointId(), name: null, state: "making", cause: { type: "asked" }, parent: null },
    ...{ createdAt: new Date(), medium: pool.medium, origin: originOf(live.sandbox) },
    digests: point?.digests ?? live.lease?.layers.map(({ digest }) => digest) ?? [],
  };
  table.put(copy);
  let thaw: (() => Promise<void>) | undefined;
  let unpacked = false;
  try {
    if (point !== undefined) {
      await inPool(context, [point], async (wasUnpacked) => {
        unpacked = wasUnpacked;
        await pool.keepCopy(point.id, copy.id, live.sandbox.id);
      });
    } else {
      thaw = await freezeCommands(context, live);
      await pool.keep({ sandbox: live.sandbox.id, revision: lineage.revision }, copy.id);
    }
  } catch (error) {
    await dropCheckpoints(context, [copy]).catch((err) => context.log.warn({ err }, "a failed copy stays for now"));
    throw error;
  } finally {
    await thaw?.();
  }
  return { copy, of: point?.id ?? null, frozen: thaw !== undefined, unpacked };
}

async function captureInPlace(context: LifecycleContext, live: LiveSandbox, wish: CaptureWish): Promise<Capture> {
  const { sandbox } = live;
  requireState("make a layer of", sandbox.state, "running", "paused", "stopped", "failed");
  const source = join(upperPath(sandbox, context.places), "upper");
  if (!existsSync(source)) {
    throw new PlyboxError("sandbox/wrong-state", "its upper is an image, which is there only while the sandbox runs");
  }
  if (sandbox.state.kind === "running" && !context.backend.capabilities.pause) {
    const message = "this machine has no freezer: stop the sandbox first, or create it with snapshots";
    throw new PlyboxError("host/missing", message);
  }
  // Also where no command runs: one that begins meanwhile would write into what is read.
  const running = sandbox.state.kind === "running" ? live.running : undefined;
  await running?.pause();
  try {
    const digests = live.lease?.layers.map(({ digest }) => digest) ?? [];
    const layer = await pack(context, { source, digests, from: sandbox.id }, wish);
    return { layer, mechanism: "in-place", frozen: running !== undefined, unpacked: false };
  } finally {
    await running?.resume();
  }
}

interface Written {
  /** Absolute path of a ply that nobody changes. */
  readonly source: string;
  /** Of the layers that it was written on, bottom first. */
  readonly digests: readonly string[];
  /** Whose it is, for the manifest. */
  readonly from: string;
}

async function pack(
  { layers, packings }: LifecycleContext,
  { source, digests, from }: Written,
  { name, packing, point: _, ...options }: CaptureWish,
): Promise<LayerManifest> {
  const { format, compression } = choosePacking(packings, packing, "snapshot");
  const { level, ...rest } = compression;
  const request: PackingRequest = { format, ...rest, ...(level !== null && { level }) };
  return await layers.make.packed(
    name,
    async (staging, { packing: chosen, bounds, signal, onProgress }) => {
      const most = { entries: bounds.inodes, bytes: bounds.unpackedBytes };
      const image = imagePath(staging, chosen.format);
      await packPly({
        source,
        image,
        packing: chosen,
        most,
        ...(signal && { signal }),
        ...(onProgress && { onProgress }),
      });
      return { provenance: { kind: "sandbox", source: from } };
    },
    { ...options, packing: request, parents: digests },
  );
}
