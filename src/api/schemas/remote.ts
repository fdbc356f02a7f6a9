import * as z from "zod";
import { layerRef } from "./layer.ts";

const layers = z.array(layerRef).min(1).max(64);

export const pushBody = z.strictObject({
  layers: layers.describe("By name or digest; those that they were made on go before them."),
  replace: z.exactOptional(z.boolean().describe("Give names to other content than they have there; false by default.")),
});

export const pullBody = z.strictObject({
  layers: layers.describe("By name or digest; those that they were made on come before them."),
  replace: z.exactOptional(z.boolean().describe("Take names from the layers that have them; false by default.")),
  requireSignature: z.exactOptional(
    z.boolean().describe("Refuse what no trusted key has signed, also where that is not configured."),
  ),
});

export const syncBody = z.strictObject({});

const movedLayer = z.object({
  name: z.string(),
  digest: z.string(),
  bytes: z.int().min(0).describe("Of the image."),
  outcome: z
    .enum(["pushed", "pulled", "present", "conflict"])
    .describe("conflict: the name has two contents, and both stay."),
});

export const movedLayers = z.object({ layers: z.array(movedLayer) });

export const remoteProgress = z.object({
  step: z.enum(["push", "pull"]),
  layer: z.string(),
  doneBytes: z.int().min(0),
  totalBytes: z.int().min(0),
});
