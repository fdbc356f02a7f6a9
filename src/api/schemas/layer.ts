import * as z from "zod";
import { LAYER_NAME } from "../../model/ids.ts";

export const layerParams = z.strictObject({
  name: z.string().regex(LAYER_NAME, "must be three digits, - and a-z 0-9 . _ -").describe("The layer's name."),
});

export const layerView = z.object({
  name: z.string(),
  digest: z.string().describe("SHA-256 of the image; for dir, of its sorted file list with contents."),
  format: z.enum(["squashfs", "dir"]),
  bytes: z.int().describe("Bytes of the image."),
  compression: z.object({ algorithm: z.string(), level: z.int().nullable(), blockBytes: z.int() }).nullable(),
  createdAt: z.string(),
  parents: z.array(z.string()),
  provenance: z.object({ kind: z.string(), source: z.string() }),
  binds: z.array(
    z.object({
      source: z.string(),
      target: z.string(),
      readOnly: z.boolean(),
      owner: z.enum(["keep", "root"]),
    }),
  ),
});

export const layerList = z.object({ layers: z.array(layerView) });
