import type { Digest, LayerName } from "./ids.ts";
import type { ImageConfig } from "./image-config.ts";
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
  readonly provenance: Provenance;
  /** Host paths that the layer shows read-only; only the `host` layer has any. */
  readonly binds: readonly Bind[];
  /** What a sandbox on this layer has by default; of layers that were made of images. */
  readonly config?: ImageConfig;
}

/** Where a layer came from. */
export interface Provenance {
  /** `directory`, `tar`, `image`, `dockerfile` with its `step`s, `sandbox`, `debian`, `host` or `busybox`. */
  readonly kind: string;
  /** What was read. */
  readonly source: string;
  /** Programs that were run for it beside the packer, with their arguments. */
  readonly commands?: readonly (readonly string[])[];
  /** What went into it. */
  readonly inputs?: readonly ProvenanceInput[];
  /** Whom of the network it came from, such as `registry.example:5000`. */
  readonly hosts?: readonly string[];
}

export interface ProvenanceInput {
  /** `layer` for what it was made on, `file` for a Dockerfile and for what it copies. */
  readonly kind: "layer" | "archive" | "image" | "image-layer" | "file";
  readonly name: string;
  /** `sha256:` and 64 hex digits; of a layer, of its image. */
  readonly digest: string;
}

/** A signature over the digest of a layer's canonical manifest; docs/portability.md says what is signed. */
export interface LayerSignature {
  readonly algorithm: "ed25519";
  /** SHA-256 of the public key in DER, in hexadecimal. */
  readonly keyId: string;
  /** In base64. */
  readonly value: string;
}

export const BUILD_ACTIVITIES = ["pull", "install", "read", "pack", "run", "copy", "cached"] as const;

/**
 * How far a build is: `doneBytes` of an image have been pulled or of an archive have been read, or of `totalBytes` of
 * files have been packed; of what else is done nothing is counted.
 */
export interface BuildProgress {
  readonly step: (typeof BUILD_ACTIVITIES)[number];
  readonly doneBytes: number;
  /** Null while nobody knows. */
  readonly totalBytes: number | null;
  /** Of `install`, what is being done now; of `run`, the last that the command said. */
  readonly detail?: string;
  /** Of a Dockerfile, the instruction that is followed. */
  readonly instruction?: BuildInstruction;
}

export interface BuildInstruction {
  /** From 1 on, among `count`. */
  readonly index: number;
  readonly count: number;
  /** Of the Dockerfile. */
  readonly line: number;
  readonly text: string;
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
