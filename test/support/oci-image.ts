import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { formatHeader } from "../../src/layers/tar/tar-header.ts";

/** One entry of a layer. */
export interface LayerFile {
  readonly name: string;
  /** As tar has it; a file by default. */
  readonly type?: "0" | "1" | "2" | "5";
  readonly content?: string | Buffer;
  readonly link?: string;
  readonly mode?: number;
}

export interface ImageParts {
  /** Lowest first. */
  readonly layers: readonly (readonly LayerFile[])[];
  readonly config?: object;
  readonly architecture?: string;
  /** What the layout calls it. */
  readonly name?: string;
  readonly compress?: (layer: Buffer) => Buffer;
}

const BLOCK = 512;
export const sha256 = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export function tarOf(files: readonly LayerFile[]): Buffer {
  const parts = files.flatMap(({ name, type = "0", content = "", link = "", mode }) => {
    const bytes = Buffer.from(content);
    const standard = type === "5" ? 0o755 : 0o644;
    const fields = { uid: 0, gid: 0, mtime: 1_000_000, major: 0, minor: 0 };
    const header = formatHeader({ ...fields, name, type, link, mode: mode ?? standard, size: bytes.length });
    return [header, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));

/** The files of an OCI layout with these images, by name. */
export function layoutFiles(...images: readonly ImageParts[]): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const blob = (mediaType: string, bytes: Buffer) => {
    const digest = sha256(bytes);
    files.set(`blobs/${digest.replace(":", "/")}`, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const manifests = images.map(({ layers, config = {}, architecture = "amd64", name, compress = gzipSync }) => {
    const tars = layers.map(tarOf);
    const rootfs = { type: "layers", diff_ids: tars.map(sha256) };
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: blob("application/vnd.oci.image.config.v1+json", json({ os: "linux", architecture, config, rootfs })),
      layers: tars.map((tar) => blob("application/vnd.oci.image.layer.v1.tar+gzip", compress(tar))),
    };
    return {
      ...blob(manifest.mediaType, json(manifest)),
      platform: { os: "linux", architecture },
      ...(name !== undefined && { annotations: { "org.opencontainers.image.ref.name": name } }),
    };
  });
  files.set("oci-layout", json({ imageLayoutVersion: "1.0.0" }));
  files.set("index.json", json({ schemaVersion: 2, manifests }));
  return files;
}

/** The files of what `docker save` writes of an image. */
export function savedFiles({ layers, config = {}, architecture = "amd64", name }: ImageParts): Map<string, Buffer> {
  const tars = layers.map(tarOf);
  const rootfs = { type: "layers", diff_ids: tars.map(sha256) };
  const names = tars.map((_, index) => `${index}/layer.tar`);
  return new Map([
    ...tars.map((tar, index): [string, Buffer] => [names[index] ?? "", tar]),
    ["config.json", json({ os: "linux", architecture, config, rootfs })],
    ["manifest.json", json([{ Config: "config.json", RepoTags: name === undefined ? null : [name], Layers: names }])],
  ]);
}

export const archiveOf = (files: ReadonlyMap<string, Buffer>): Buffer =>
  tarOf([...files].map(([name, content]) => ({ name, content })));

export function writeFiles(directory: string, files: ReadonlyMap<string, Buffer>): string {
  for (const [name, content] of files) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  return directory;
}
