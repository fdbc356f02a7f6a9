import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Digest } from "../../model/ids.ts";
import type { SignedManifest } from "../signatures/signed-manifests.ts";
import { corrupt } from "../stored-layers.ts";
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

/** A blob that is a file. */
export interface FileBlob {
  readonly digest: Digest;
  readonly bytes: number;
  readonly path: string;
  /** Whose it is, for an error. */
  readonly of: string;
}

/** What an OCI layout holds. */
interface Layout {
  /** With the names that the index has for them. */
  readonly manifests: readonly { readonly name: string; readonly blob: Blob }[];
  readonly configs: readonly Blob[];
  readonly files: readonly FileBlob[];
}

/**
 * Layers as one file: a tar archive in the OCI layout, each layer an artifact. The same layers give the same bytes.
 * @throws PlyboxError `layer/corrupt` in the middle, for an image that changes while it is read
 */
export function writeArchive(layers: readonly ExportedLayer[]): AsyncGenerator<Buffer> {
  const artifacts = layers.map(({ signed }) => ({ name: signed.manifest.name, ...artifactOf(signed) }));
  return writeLayout({
    manifests: artifacts.map(({ name, manifest }) => ({ name, blob: manifest })),
    configs: artifacts.map(({ config }) => config),
    files: layers.map(({ signed: { manifest }, image }) => ({
      ...{ digest: manifest.digest, bytes: manifest.bytes, path: image, of: manifest.name },
    })),
  });
}

/** An OCI layout as a tar archive, what is small before the files. */
export async function* writeLayout({ manifests, configs, files }: Layout): AsyncGenerator<Buffer> {
  const index = indexOf(manifests.map(({ name, blob }) => ({ name, descriptor: blob.descriptor })));
  yield* smallFile("oci-layout", Buffer.from(LAYOUT));
  yield* smallFile("index.json", Buffer.from(index));
  const written = new Set<Digest>();
  for (const { descriptor, bytes } of [...manifests.map(({ blob }) => blob), ...configs]) {
    if (!written.has(descriptor.digest)) yield* smallFile(blobPath(descriptor.digest), bytes);
    written.add(descriptor.digest);
  }
  for (const file of files) {
    if (written.has(file.digest)) continue;
    written.add(file.digest);
    yield fileHead(blobPath(file.digest), file.bytes);
    yield* readChecked(file);
    yield padding(file.bytes);
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** Holds a file to its digest once more: a client never takes a damaged one for whole. */
async function* readChecked({ path, digest, of }: FileBlob): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest("hex") !== digest) throw corrupt(of, "its image changed while it was read");
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
