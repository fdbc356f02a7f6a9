import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { PlyboxError } from "../../model/errors.ts";
import type { Digest } from "../../model/ids.ts";
import type { ImageConfig } from "../../model/image-config.ts";
import type { LayerManifest } from "../../model/layer.ts";
import type { ImageBounds } from "../image-bounds.ts";
import { hostPlatform } from "../oci/platform.ts";
import { PROGRAM_ENVIRONMENT, requireProgram } from "../programs.ts";
import { LayerTree } from "../tar/layer-tree.ts";
import { withOciWhiteouts } from "../tar/oci-whiteouts.ts";
import { readTar } from "../tar/tar-reader.ts";
import { writeTar } from "../tar/tar-writer.ts";
import { TreeMeter } from "../tar/tree-meter.ts";
import type { Blob } from "./oci-artifact.ts";
import { blobOf, OCI_MANIFEST, written } from "./oci-artifact.ts";
import type { FileBlob } from "./write-archive.ts";

const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";
/** More takes much longer and gives little: whoever wants small layers takes the images. */
const GZIP_LEVEL = 4;
const KEPT_STDERR_CHARACTERS = 4096;

/** A layer whose files can be seen at `path`. */
export interface MountedLayer {
  readonly manifest: LayerManifest;
  readonly path: string;
}

/** An ordinary image, as container engines run it. */
export interface OciImage {
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly FileBlob[];
}

interface ImageLayer extends FileBlob {
  /** Of the archive before it was compressed. */
  readonly diffId: string;
}

/**
 * Layers, bottom first, as an image of as many tar layers, whose files are made in `staging`.
 * @throws PlyboxError `layer/too-large`, `layer/build-failed`, `file/bad-archive` for attributes that no layer may have,
 * `host/missing` without tar
 */
export async function makeOciImage(
  mounted: readonly MountedLayer[],
  staging: string,
  bounds: ImageBounds,
): Promise<OciImage> {
  const layers: ImageLayer[] = [];
  for (const layer of mounted) layers.push(await packLayer(layer, staging, bounds));
  const manifests = mounted.map(({ manifest }) => manifest);
  const config = blobOf(CONFIG, JSON.stringify(configOf(manifests, layers)));
  const manifest = blobOf(
    OCI_MANIFEST,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: written(config.descriptor),
      layers: layers.map(({ digest, bytes }) => written({ mediaType: LAYER, digest, size: bytes })),
    }),
  );
  return { manifest, config, layers };
}

async function packLayer({ manifest, path }: MountedLayer, staging: string, bounds: ImageBounds): Promise<ImageLayer> {
  const { name } = manifest;
  const spool = join(staging, "files");
  const packed = join(staging, name);
  await runTar(path, spool, name);
  const file = await open(spool, "r");
  const [plain, compressed] = [createHash("sha256"), createHash("sha256")];
  try {
    const tree = new LayerTree(new TreeMeter(bounds));
    for await (const entry of readTar(file, (await file.stat()).size)) tree.add(entry);
    const archive = observed(writeTar(withOciWhiteouts(tree.root), file), plain);
    const squeezed = Readable.from(archive, { objectMode: false }).pipe(createGzip({ level: GZIP_LEVEL }));
    await pipeline(observed(squeezed, compressed), createWriteStream(packed, { flags: "wx", mode: 0o600 }));
  } finally {
    await file.close();
    await rm(spool);
  }
  return {
    ...{ digest: compressed.digest("hex") as Digest, bytes: (await stat(packed)).size, path: packed, of: name },
    diffId: `sha256:${plain.digest("hex")}`,
  };
}

/** Reads a mounted layer as an archive, with owners, devices and attributes as they are. */
async function runTar(directory: string, target: string, name: string): Promise<void> {
  const args = ["--create", `--file=${target}`, `--directory=${directory}`, "--format=pax", "--numeric-owner"];
  const attributes = ["--xattrs", "--xattrs-include=*", "--warning=no-file-ignored"];
  const child = spawn(await requireProgram("tar", "tar"), [...args, ...attributes, "."], {
    stdio: ["ignore", "ignore", "pipe"],
    env: PROGRAM_ENVIRONMENT,
  });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-KEPT_STDERR_CHARACTERS);
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return;
  throw new PlyboxError("layer/build-failed", `layer ${name} cannot be read: ${complaint.trim()}`, { step: "tar" });
}

async function* observed(chunks: AsyncIterable<Buffer>, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** The configuration of the highest layer that has one counts, since it was made on the others. */
function configOf(manifests: readonly LayerManifest[], layers: readonly ImageLayer[]): object {
  const { os, architecture } = hostPlatform();
  const config = manifests.findLast((manifest) => manifest.config !== undefined)?.config;
  const created = manifests.map(({ createdAt }) => createdAt).sort();
  return {
    created: created.at(-1),
    architecture,
    os,
    config: config === undefined ? {} : dockerConfig(config),
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: manifests.map(({ name, createdAt, provenance }) => ({
      ...{ created: createdAt, created_by: `plybox layer ${name}`, comment: `${provenance.kind} ${provenance.source}` },
    })),
  };
}

const dockerConfig = ({ env, workingDir, user, entrypoint, cmd, exposedPorts, labels }: ImageConfig): object => ({
  Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
  ...(workingDir !== null && { WorkingDir: workingDir }),
  ...(user !== null && { User: user }),
  ...(entrypoint.length > 0 && { Entrypoint: entrypoint }),
  ...(cmd.length > 0 && { Cmd: cmd }),
  ExposedPorts: Object.fromEntries(exposedPorts.map((port) => [port, {}])),
  Labels: labels,
});
