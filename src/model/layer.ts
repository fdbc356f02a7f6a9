import type { Digest, LayerName } from "./ids.ts";
import type { Bind } from "./launch-plan.ts";

export type LayerFormat = "squashfs" | "dir";

/** What a layer is; stored beside it as `manifest.json`. */
export interface LayerManifest {
  readonly name: LayerName;
  /** SHA-256 of the image; for `dir`, of its sorted file list with contents. */
  readonly digest: Digest;
  readonly format: LayerFormat;
  /** Bytes of the image. */
  readonly bytes: number;
  readonly compression: {
    readonly algorithm: string;
    readonly level: number | null;
    readonly blockBytes: number;
  } | null;
  readonly createdAt: string;
  readonly parents: readonly Digest[];
  /** Where it came from: `directory`, `host` or `busybox`, with what was read. */
  readonly provenance: { readonly kind: string; readonly source: string };
  /** Host paths that the layer shows read-only; only the `host` layer has any. */
  readonly binds: readonly Bind[];
}
