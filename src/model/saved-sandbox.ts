import { createHash } from "node:crypto";
import type { LayerName } from "./ids.ts";
import { LAYER_NAME, parseLayerName } from "./ids.ts";

/** The highest number, so that what a sandbox wrote lies above all that it stands on. */
const PREFIX = "999-save.";
const HASH_LENGTH = 48;

/** The layer that holds what a tenant's sandbox of this name, or id, has written, where object storage keeps that. */
export function saveLayerName(tenant: string, ref: string): LayerName {
  const plain = `${PREFIX}${tenant}.${ref}`;
  // Two of the longest names together are longer than a layer's name may be.
  const hash = createHash("sha256").update(`${tenant}/${ref}`).digest("hex").slice(0, HASH_LENGTH);
  return parseLayerName(LAYER_NAME.test(plain) ? plain : `${PREFIX}${hash}`);
}

/** Whether a layer is one sandbox's own, which nobody is to stand on but by a restore of that sandbox. */
export const isSaveLayer = (name: string): boolean => name.startsWith(PREFIX);
