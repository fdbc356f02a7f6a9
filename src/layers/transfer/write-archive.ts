import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Digest } from "../../model/ids.ts";
import { corrupt } from "../catalog.ts";
import type { SignedManifest } from "../signatures/signed-manifests.ts";
import { formatPax } from "../tar/pax.ts";
import { BLOCK, formatHeader } from "../tar/tar-header.ts";
import type { Blob } from "./oci-artifact.ts";
import { artifactOf, indexOf, LAYOUT } from "./oci-artifact.ts";

const LARGEST_SIZE = 0o77777777777;

/** A layer whose image was compared with its digest. */
export interface ExportedLayer {
  readonly signed: SignedManifest;
  readonly image: string;
}

/** Reads a layer's image and holds it to its digest once more: a client never takes a damaged one for whole. */
async function* readImage({ signed, image }: ExportedLayer): AsyncGenerator<Buffer> {
  const { name, digest } = signed.manifest;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(image, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest("hex") !== digest) throw corrupt(name, "its image changed while it was read");
}

/**
 * Layers as one file: a tar archive in the OCI layout, what is small before the images. The same layers give the same
 * bytes.
 * @throws PlyboxError `layer/corrupt` in the middle, for an image that changes while it is read
 */
export async function* writeArchive(layers: readonly ExportedLayer[]): AsyncGenerator<Buffer> {
  const artifacts = layers.map((layer) => ({ layer, ...artifactOf(layer.signed) }));
  const index = indexOf(
    artifacts.map(({ layer, manifest }) => ({ name: layer.signed.manifest.name, descriptor: manifest.descriptor })),
  );
  yield* smallFile("oci-layout", Buffer.from(LAYOUT));
  yield* smallFile("index.json", Buffer.from(index));
  const written = new Set<Digest>();
  for (const blob of artifacts.flatMap(({ manifest, config }): Blob[] => [manifest, config])) {
    if (!written.has(blob.descriptor.digest)) yield* smallFile(blobPath(blob.descriptor.digest), blob.bytes);
    written.add(blob.descriptor.digest);
  }
  for (const layer of layers) {
    const { digest, bytes } = layer.signed.manifest;
    if (written.has(digest)) continue;
    written.add(digest);
    yield fileHead(blobPath(digest), bytes);
    yield* readImage(layer);
    yield padding(bytes);
  }
  yield Buffer.alloc(2 * BLOCK);
}

const blobPath = (digest: Digest): string => `blobs/sha256/${digest}`;

function* smallFile(name: string, bytes: Buffer): Generator<Buffer> {
  yield fileHead(name, bytes.length);
  yield bytes;
  yield padding(bytes.length);
}

function fileHead(name: string, size: number): Buffer {
  const header = { name, size, type: "0", link: "", mode: 0o644, uid: 0, gid: 0, mtime: 0, major: 0, minor: 0 };
  if (size <= LARGEST_SIZE) return formatHeader(header);
  const record = formatPax(new Map([["size", Buffer.from(String(size))]]));
  const before = formatHeader({ ...header, name: "record", type: "x", size: record.length });
  return Buffer.concat([before, record, padding(record.length), formatHeader(header)]);
}

const padding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
