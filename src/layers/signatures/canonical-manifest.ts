import { createHash } from "node:crypto";
import type { Digest } from "../../model/ids.ts";
import type { LayerManifest } from "../../model/layer.ts";

/** A manifest in the one way in which it is signed and sent: keys in order, nothing between them. */
export const canonicalManifest = (manifest: LayerManifest): string => canonical(manifest);

/** SHA-256 of the manifest as `canonicalManifest` writes it. */
export const manifestDigest = (manifest: LayerManifest): Digest =>
  createHash("sha256").update(canonicalManifest(manifest)).digest("hex") as Digest;

/** Written by hand, because objects put what looks like a number before all other keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(",")}}`;
}
