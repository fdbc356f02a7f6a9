import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ImageConfig } from "../../model/image-config.ts";
import type { ImageSource, Platform, RegistryCredentials } from "../../model/image-source.ts";
import { formatImageSource } from "../../model/image-source.ts";
import type { Provenance } from "../../model/layer.ts";
import type { LayerPlan, PlanWork } from "../pack-plan.ts";
import { packPlan } from "../pack-plan.ts";
import type { Node } from "../tar/layer-tree.ts";
import { directory, LayerTree } from "../tar/layer-tree.ts";
import { spoolArchive } from "../tar/spool.ts";
import { readTar } from "../tar/tar-reader.ts";
import { TreeMeter } from "../tar/tree-meter.ts";
import { applyLayer, ensureDirectory } from "./apply-layer.ts";
import type { FoundImage, FoundLayer } from "./find-image.ts";
import { imageOfLayout, imageOfPulled, imageOfSaved } from "./find-image.ts";
import { badImage } from "./image-error.ts";
import type { ImageFiles } from "./image-files.ts";
import { archiveFiles, directoryFiles } from "./image-files.ts";
import { pullImage } from "./pull-image.ts";

/** The image that a layer is to be made of. */
export interface ImageRequest {
  readonly source: ImageSource;
  /** What an archive holds, where its source is one; it need not be compressed. */
  readonly archive?: AsyncIterable<Buffer>;
  /** This machine's by default. */
  readonly platform?: Platform;
  /** For its registry. */
  readonly credentials?: RegistryCredentials;
  /** A file with credentials of registries, as `skopeo login` makes it. */
  readonly authFile?: string;
}

export interface ImageWork extends PlanWork {
  /** Of programs that speak to registries. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What is to be written down of a layer that was made of an image. */
export interface ImageNotes {
  readonly provenance: Provenance;
  readonly config: ImageConfig;
}

/**
 * Makes one layer of an image in `staging`: its layers are laid over one another in memory, so that what a higher one
 * removes takes no room, and a sandbox has one mount for an image of any depth.
 * @throws PlyboxError `image/invalid`, `image/pull-failed`, `file/bad-archive`, `input/invalid`, `layer/too-large`, and
 * as packing does
 */
export async function packImageLayers(request: ImageRequest, staging: string, work: ImageWork): Promise<ImageNotes> {
  await using opened = await openImage(request, staging, work);
  const { image, files, pulled } = opened;
  const spool = join(staging, "layers");
  const file = await open(spool, "wx", 0o600);
  await file.close();
  const contents = await open(spool, "r");
  try {
    await packPlan(await planOf(image, files, { spool, contents }, work), staging, work);
  } finally {
    await contents.close();
    await rm(spool);
  }
  const name = formatImageSource(request.source);
  const { digest, layers, diffIds, config } = image;
  const layerInputs = layers.map((layer, index) => ({
    kind: "image-layer" as const,
    name: `${index + 1} of ${layers.length}`,
    digest: layer.digest ?? (diffIds[index] as string),
  }));
  const inputs = [{ kind: "image" as const, name, digest }, ...layerInputs];
  return { config, provenance: { kind: "image", source: `${name} ${digest}`, inputs, ...pulled } };
}

interface OpenedImage extends AsyncDisposable {
  readonly image: FoundImage;
  readonly files: ImageFiles;
  readonly pulled: Pick<Provenance, "commands" | "hosts">;
}

async function openImage(request: ImageRequest, staging: string, work: ImageWork): Promise<OpenedImage> {
  const place = join(staging, "source");
  const { source, platform = null } = request;
  const pulled = source.transport === "docker" ? await pull(request, place, work) : {};
  const files = await filesOf(request, place, work);
  const dispose = async (): Promise<void> => {
    await files[Symbol.asyncDispose]();
    await rm(place, { recursive: true, force: true });
  };
  try {
    const find = async (): Promise<FoundImage> => {
      if (source.transport === "docker") return await imageOfPulled(files, platform);
      const wanted = { image: source.image, platform };
      return source.transport === "docker-archive"
        ? await imageOfSaved(files, wanted)
        : await imageOfLayout(files, wanted);
    };
    return { image: await find(), files, pulled, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function pull({ source, platform, credentials, authFile }: ImageRequest, place: string, work: ImageWork) {
  if (source.transport !== "docker") return {};
  const { bounds, environment, signal, onProgress } = work;
  const { host, command } = await pullImage(place, `${place}.pull`, {
    ...{ image: source.image, platform: platform ?? null, environment, mostBytes: bounds.unpackedBytes },
    ...(credentials && { credentials }),
    ...(authFile !== undefined && { authFile }),
    ...(signal && { signal }),
    onBytes: (doneBytes) => onProgress?.({ step: "pull", doneBytes, totalBytes: null }),
  });
  return { commands: [command], hosts: [host] };
}

async function filesOf({ source, archive }: ImageRequest, place: string, work: ImageWork): Promise<ImageFiles> {
  if (source.transport === "docker") return directoryFiles(place);
  if (source.transport === "oci") return directoryFiles(source.path);
  if (archive === undefined) throw badImage("its archive was not given");
  const { bounds, signal, onProgress } = work;
  await spoolArchive(archive, place, {
    ...{ mostBytes: bounds.unpackedBytes, signal },
    onBytes: (doneBytes) => onProgress?.({ step: "read", doneBytes, totalBytes: null }),
  });
  return await archiveFiles(place);
}

/** Where the layers' archives are put one after the other, uncompressed. */
interface Spool {
  readonly spool: string;
  readonly contents: FileHandle;
}

async function planOf(image: FoundImage, files: ImageFiles, { spool, contents }: Spool, work: ImageWork) {
  const meter = new TreeMeter(work.bounds);
  const root = directory();
  let end = 0;
  for (const [index, layer] of image.layers.entries()) {
    const from = end;
    await spoolLayer(files, { ...layer, diffId: image.diffIds[index] ?? "" }, { spool, from }, work);
    end = (await contents.stat()).size;
    const tree = new LayerTree(meter, root);
    for await (const entry of readTar(contents, end, from)) tree.add(entry);
    applyLayer(root, tree.root);
  }
  const { workingDir } = image.config;
  // As who runs containers does when they start.
  if (workingDir !== null) ensureDirectory(root, workingDir);
  return { root, file: contents, bytes: bytesOf(root), latest: meter.latest } satisfies LayerPlan;
}

async function spoolLayer(
  files: ImageFiles,
  { file: name, digest, diffId }: FoundLayer & { readonly diffId: string },
  { spool, from }: Pick<Spool, "spool"> & { readonly from: number },
  { bounds, signal, onProgress }: ImageWork,
): Promise<void> {
  const file = await files.find(name);
  if (file === undefined) throw badImage(`its layer ${JSON.stringify(name.slice(0, 200))} is not there`);
  const found = await spoolArchive(file.chunks(), spool, {
    ...{ mostBytes: bounds.unpackedBytes - from, append: true, signal },
    onBytes: (doneBytes) => onProgress?.({ step: "read", doneBytes, totalBytes: file.bytes }),
  });
  if (digest !== null && digest !== `sha256:${found.digest}`)
    throw badImage(`its layer ${name} does not match its digest`);
  if (diffId !== `sha256:${found.unpackedDigest}`) throw badImage(`its layer ${name} does not match its diff_id`);
}

/** Of the files that are left in the end. */
function bytesOf(root: Node): number {
  let bytes = 0;
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    bytes += node.size;
    for (const child of node.children.values()) pending.push(child);
  }
  return bytes;
}
