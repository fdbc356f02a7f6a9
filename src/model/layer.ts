import type { Digest, LayerName } from "./ids.ts";
import type { Bind } from "./launch-plan.ts";

/** How a layer is stored that has to be mounted. */
export type ImageFormat = "squashfs" | "erofs";
export type LayerFormat = ImageFormat | "dir";

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
  /** Where it came from: `directory`, `tar`, `host` or `busybox`, with what was read. */
  readonly provenance: { readonly kind: string; readonly source: string };
  /** Host paths that the layer shows read-only; only the `host` layer has any. */
  readonly binds: readonly Bind[];
}

/** How a layer is to be packed; what is not asked for is as the daemon's configuration has it. */
export interface PackingRequest {
  readonly format?: ImageFormat;
  /** Such as `zstd`; one that the format has. */
  readonly algorithm?: string;
  readonly level?: number;
  /** A power of two from 4096 to 1048576. */
  readonly blockBytes?: number;
}
