import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import type { BuildSteps } from "../layers/build-steps.ts";
import type { ImageRequest } from "../layers/oci/image-layer.ts";
import { packImageLayers } from "../layers/oci/image-layer.ts";
import { PlyboxError } from "../model/errors.ts";
import type { LayerName } from "../model/ids.ts";
import { parseLayerName } from "../model/ids.ts";
import type { ImageSource, Platform } from "../model/image-source.ts";
import { formatImageSource, parseImageName, parseImageSource, parsePlatform } from "../model/image-source.ts";
import type { BuildProgress, LayerManifest } from "../model/layer.ts";
import { isPreset } from "../model/presets.ts";
import { invalid, unsupported } from "./dockerfile/refuse.ts";
import { keyOf } from "./steps/step-runner.ts";
import type { BuildParts } from "./steps/step-sandbox.ts";

const TRANSPORT = /^(?:docker|oci|oci-archive|docker-archive):/;
const LAYER = /^[a-z0-9][a-z0-9._-]{0,67}$/;

export interface BaseOptions {
  readonly parts: BuildParts;
  readonly steps: BuildSteps;
  readonly noCache: boolean;
  /** Where paths of images begin; null where images of this machine's files are not to be had. */
  readonly imageDirectory: string | null;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: BuildProgress) => void) | undefined;
}

/** What a FROM, or a COPY from elsewhere, names. */
export interface BaseReference {
  readonly image: string;
  readonly platform: string | null;
  readonly line: number;
}

/**
 * The layer that a stage stands on: one of the store by its name, a preset, or an image; null for `scratch`. A name that no
 * layer has is an image's in a registry.
 * @throws PlyboxError `build/invalid`, `build/unsupported`, and as building such a layer does
 */
export async function findBase(reference: BaseReference, options: BaseOptions): Promise<LayerManifest | null> {
  const { image } = reference;
  if (image === "scratch") return null;
  const layer = TRANSPORT.test(image) ? undefined : await findLayer(image, options);
  const found = layer ?? (await makeImage(sourceOf(reference, options), reference, options));
  options.steps.hold(found.digest);
  return found;
}

async function findLayer(name: string, { parts, signal, onProgress }: BaseOptions): Promise<LayerManifest | undefined> {
  if (!LAYER.test(name)) return undefined;
  try {
    return (await parts.layers.resolve([name])).find((layer) => isCalled(layer, name));
  } catch (error) {
    if (!(error instanceof PlyboxError) || error.code !== "layer/not-found") throw error;
  }
  if (!isPreset(name)) return undefined;
  return await parts.layers.make.preset(name, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
}

/** Of the layers that it brings along, the one that was asked for. */
const isCalled = ({ name, digest }: LayerManifest, asked: string): boolean =>
  name === asked || name.slice("NNN-".length) === asked || digest === asked;

function sourceOf({ image, line }: BaseReference, { imageDirectory }: BaseOptions): ImageSource {
  try {
    if (!TRANSPORT.test(image)) return { transport: "docker", image: parseImageName(image, "dockerfile") };
    const source = parseImageSource(image, "dockerfile");
    if (source.transport === "docker") return source;
    if (imageDirectory !== null) return { ...source, path: resolve(imageDirectory, source.path) };
  } catch (cause) {
    throw invalid(line, (cause as Error).message, cause);
  }
  throw unsupported(line, "an image of this machine's files is not to be had here; name one in a registry");
}

async function makeImage(source: ImageSource, reference: BaseReference, options: BaseOptions): Promise<LayerManifest> {
  const { parts, steps, signal, onProgress } = options;
  const platform = platformOf(reference);
  const key = keyOf(["image", formatImageSource(source), reference.platform]);
  // In a registry it stays what it was found to be, until a build without cache.
  const isRemote = source.transport === "docker";
  const known = isRemote && !options.noCache ? await steps.find(key) : undefined;
  if (known !== undefined) return known;
  const request: ImageRequest = { source, ...(platform && { platform }), ...archiveOf(source) };
  const way = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  return await steps.make(
    key,
    nameOf(source),
    (staging, work) => packImageLayers(request, staging, { ...work, environment: parts.environment }),
    way,
  );
}

function platformOf({ platform, line }: BaseReference): Platform | undefined {
  if (platform === null) return undefined;
  try {
    return parsePlatform(platform, "dockerfile");
  } catch (cause) {
    throw invalid(line, (cause as Error).message, cause);
  }
}

const archiveOf = (source: ImageSource): Pick<ImageRequest, "archive"> =>
  source.transport === "oci-archive" || source.transport === "docker-archive"
    ? { archive: createReadStream(source.path) }
    : {};

/** A base by its number, with what the image is called; nobody gives a layer of their own such a name by chance. */
function nameOf(source: ImageSource): LayerName {
  const text = source.transport === "docker" ? source.image : source.path;
  const [last = ""] = (text.split("/").at(-1) ?? "").split(/[:@]/);
  const name = last
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+/, "")
    .slice(0, 40);
  return parseLayerName(`000-image-${name === "" ? "of-no-name" : name}`);
}
