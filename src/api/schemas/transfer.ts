import * as z from "zod";
import { layerRef, layerView } from "./layer.ts";

const digest = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits");

export const exportQuery = z.strictObject({
  layer: z.array(layerRef).min(1).max(64).describe("A layer that the archive is to hold; may be repeated."),
  parents: z.exactOptional(z.boolean().describe("Also the layers that they were made on; false by default.")),
  as: z.exactOptional(
    z.enum(["artifacts", "image"]).describe("An artifact each, by default, or together an image of tar layers."),
  ),
});

export const importQuery = z.strictObject({
  replace: z.exactOptional(z.boolean().describe("Take names from the layers that have them; false by default.")),
  requireSignature: z.exactOptional(
    z.boolean().describe("Refuse what no trusted key has signed, also where that is not configured."),
  ),
});

export const layerSignature = z.strictObject({
  algorithm: z.literal("ed25519"),
  keyId: digest.describe("SHA-256 of the public key in DER."),
  value: z.string().length(88).describe("The signature in base64."),
});

export const signedLayer = z.object({
  manifest: layerView,
  manifestDigest: digest.describe("SHA-256 of the manifest in its canonical form, which is what is signed."),
  signatures: z.array(layerSignature),
});
