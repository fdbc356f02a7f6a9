import { createHash } from "node:crypto";
import type { Digest } from "../../model/ids.ts";
import { parseDigest } from "../../model/ids.ts";
import type { ImageFormat, LayerManifest } from "../../model/layer.ts";
import { parseManifest } from "../manifest.ts";
import { canonicalManifest } from "../signatures/canonical-manifest.ts";
import { parseSignatures } from "../signatures/signature.ts";
import type { SignedManifest } from "../signatures/signed-manifests.ts";

/** docs/portability.md describes the artifact. */
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const ARTIFACT = "application/vnd.plybox.layer.v1";
const CONFIG = "application/vnd.plybox.layer.manifest.v1+json";
const IMAGE: Readonly<Record<ImageFormat, string>> = {
  squashfs: "application/vnd.plybox.layer.image.v1.squashfs",
  erofs: "application/vnd.plybox.layer.image.v1.erofs",
};
const SIGNATURES = "dev.plybox.signatures";
export const REF_NAME = "org.opencontainers.image.ref.name";

/** The content of `oci-layout`. */
export const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

type Fields = Readonly<Record<string, unknown>>;

/** A small blob with what points to it. */
export interface Blob {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

export function blobOf(mediaType: string, text: string): Blob {
  const bytes = Buffer.from(text);
  const digest = createHash("sha256").update(bytes).digest("hex") as Digest;
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
}

/** What a layer is in an OCI layout, besides its image: the artifact's manifest, and its configuration. */
export function artifactOf({ manifest, signatures }: SignedManifest): {
  readonly manifest: Blob;
  readonly config: Blob;
} {
  const { name, digest, bytes, format, createdAt } = manifest;
  const mediaType = IMAGE[format as ImageFormat];
  const config = blobOf(CONFIG, canonicalManifest(manifest));
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: ARTIFACT,
    config: written(config.descriptor),
    layers: [
      {
        ...written({ mediaType, digest, size: bytes }),
        annotations: { "org.opencontainers.image.title": `${name}.${format}` },
      },
    ],
    annotations: {
      "org.opencontainers.image.created": createdAt,
      ...(signatures.length > 0 && { [SIGNATURES]: JSON.stringify(signatures) }),
    },
  });
  return { manifest: blobOf(OCI_MANIFEST, text), config };
}

/** The index of a layout, in which each manifest has the name of its layer. */
export function indexOf(manifests: readonly { readonly name: string; readonly descriptor: Descriptor }[]): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: manifests.map(({ name, descriptor }) => ({ ...written(descriptor), annotations: { [REF_NAME]: name } })),
  });
}

export const written = ({ digest, ...descriptor }: Descriptor) => ({ ...descriptor, digest: `sha256:${digest}` });

/** @throws Error saying what is wrong */
export function parseIndex(text: string): readonly Descriptor[] {
  const { manifests } = record(JSON.parse(text), "its index");
  if (!Array.isArray(manifests) || manifests.length === 0) throw new Error("its index names nothing");
  return manifests.map((item) => {
    const descriptor = parseDescriptor(item);
    if (descriptor.mediaType !== OCI_MANIFEST) throw new Error(`its index names a ${descriptor.mediaType}`);
    return descriptor;
  });
}

/**
 * What a layer's artifact says: where its configuration and its image are, and who signed it.
 * @throws Error saying what is wrong
 */
export function parseArtifact(text: string): {
  readonly config: Descriptor;
  readonly image: Descriptor;
  readonly signatures: SignedManifest["signatures"];
} {
  const fields = record(JSON.parse(text), "its manifest");
  const config = parseDescriptor(fields.config);
  if (config.mediaType !== CONFIG) {
    throw new Error(
      `it holds no layer of Plybox, but a ${String(fields.artifactType ?? config.mediaType).slice(0, 80)}`,
    );
  }
  const [image, ...others] = Array.isArray(fields.layers) ? fields.layers.map(parseDescriptor) : [];
  if (image === undefined || others.length > 0) throw new Error("its manifest names other than one image");
  const annotations = fields.annotations === undefined ? {} : record(fields.annotations, "its annotations");
  const signed = annotations[SIGNATURES];
  if (signed !== undefined && typeof signed !== "string") throw new Error("its signatures are malformed");
  return { config, image, signatures: signed === undefined ? [] : parseSignatures(JSON.parse(signed)) };
}

/**
 * A layer's manifest, as an artifact has it.
 * @throws Error saying what is wrong
 */
export function parseArtifactConfig(text: string, image: Descriptor): LayerManifest {
  const manifest = parseManifest(text);
  if (canonicalManifest(manifest) !== text) throw new Error("its manifest is not written as it is signed");
  if (manifest.digest !== image.digest || manifest.bytes !== image.size)
    throw new Error("its manifest is of another image");
  if (manifest.format === "dir" || image.mediaType !== IMAGE[manifest.format]) {
    throw new Error(`its image is a ${image.mediaType.slice(0, 80)}, and its manifest says ${manifest.format}`);
  }
  return manifest;
}

function parseDescriptor(value: unknown): Descriptor {
  const { mediaType, digest, size, annotations } = record(value, "a descriptor");
  if (typeof mediaType !== "string" || typeof digest !== "string") throw new Error("a descriptor is malformed");
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw new Error("a descriptor has no size");
  if (!digest.startsWith("sha256:")) throw new Error(`the digest ${JSON.stringify(digest.slice(0, 80))} is no sha256`);
  return {
    ...{ mediaType, digest: parseDigest(digest.slice("sha256:".length)), size: size as number },
    ...(annotations !== undefined && { annotations: record(annotations, "annotations") as Record<string, string> }),
  };
}

function record(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Error(`${what} is malformed`);
}
