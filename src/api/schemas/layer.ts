import * as z from "zod";

/** A layer's name, its part after the number, or its digest; which layer it means is the store's answer. */
export const layerRef = z
  .string()
  .max(67)
  .regex(/^[a-z0-9][a-z0-9._-]*$/, "must be a layer's name or digest");

export const layerParams = z.strictObject({
  layer: layerRef.describe("The layer's name, the part of it after the number, or its digest."),
});

export const layerView = z.object({
  name: z.string(),
  digest: z.string().describe("SHA-256 of the image; for dir, of its sorted file list with contents."),
  format: z.enum(["squashfs", "erofs", "dir"]),
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
