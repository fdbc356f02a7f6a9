import type { Platform } from "../../model/image-source.ts";
import { formatPlatform } from "../../model/image-source.ts";
import type { ConfigFile } from "./image-config.ts";
import { parseConfigFile, platformOf } from "./image-config.ts";
import { badImage } from "./image-error.ts";
import type { ImageFiles } from "./image-files.ts";
import type { Descriptor, JsonFile } from "./image-json.ts";
import { descriptorOf, fieldsOf, listOf, readJson, textOf } from "./image-json.ts";
import { hostPlatform, isFor } from "./platform.ts";

const INDEXES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFESTS = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
const CONFIGS = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const REFERENCE_NAMES = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
const MOST_NESTED = 4;
/** As many as Docker allows are 127. */
const MOST_LAYERS = 1000;

/** Which image is meant. */
export interface Wanted {
  /** Its name; null for the only one. */
  readonly image: string | null;
  /** Null for this machine's. */
  readonly platform: Platform | null;
}

/** An image, and where its layers are. */
export interface FoundImage extends ConfigFile {
  /** Of its manifest; of its configuration where it has no manifest. */
  readonly digest: string;
  readonly layers: readonly FoundLayer[];
}

export interface FoundLayer {
  /** In the image's files. */
  readonly file: string;
  /** Of that file; null where only the content's is known. */
  readonly digest: string | null;
}

/**
 * Finds an image in a directory of the OCI layout.
 * @throws PlyboxError `image/invalid`
 */
export async function imageOfLayout(files: ImageFiles, wanted: Wanted): Promise<FoundImage> {
  const { imageLayoutVersion } = (await readJson(files, "oci-layout")).fields;
  if (!String(imageLayoutVersion).startsWith("1.")) throw badImage("its oci-layout is of an unknown version");
  let index = await readJson(files, "index.json");
  let wantedName = wanted.image;
  for (let depth = 0; depth < MOST_NESTED; depth++) {
    const chosen = choose(index, wantedName, wanted.platform ?? hostPlatform());
    const next = await readJson(files, blobOf(chosen.digest), chosen.digest);
    const mediaType = chosen.mediaType || String(next.fields.mediaType ?? "");
    if (!INDEXES.includes(mediaType)) return await imageOf(files, next, blobOf, wanted.platform);
    index = next;
    wantedName = null;
  }
  throw badImage(`its index is nested more than ${MOST_NESTED} deep`);
}

/**
 * Finds the image in what `skopeo copy … dir:` made.
 * @throws PlyboxError `image/invalid`
 */
export async function imageOfPulled(files: ImageFiles, platform: Platform | null): Promise<FoundImage> {
  const fileOf = (digest: string): string => digest.slice("sha256:".length);
  return await imageOf(files, await readJson(files, "manifest.json"), fileOf, platform);
}

/**
 * Finds an image in what `docker save` wrote.
 * @throws PlyboxError `image/invalid`
 */
export async function imageOfSaved(files: ImageFiles, wanted: Wanted): Promise<FoundImage> {
  const saved = listOf((await readJson(files, "manifest.json")).fields, "manifest.json").map((item) => {
    const fields = fieldsOf(item, "manifest.json");
    return {
      config: textOf(fields.Config, "Config"),
      layers: listOf(fields.Layers, "Layers").map((layer) => textOf(layer, "Layers")),
      names: listOf(fields.RepoTags, "RepoTags").map((name) => textOf(name, "RepoTags")),
    };
  });
  const named = saved.filter(({ names }) => wanted.image === null || names.some((name) => isNamed(name, wanted.image)));
  const [chosen] = named;
  if (chosen === undefined || named.length > 1)
    throw notOne(
      wanted.image,
      saved.flatMap(({ names }) => names),
    );
  const config = await readJson(files, chosen.config);
  const parsed = parseConfigFile(config.fields);
  const layers = chosen.layers.map((file) => ({ file, digest: null }));
  return checked({ ...parsed, digest: config.digest, layers }, wanted.platform);
}

async function imageOf(
  files: ImageFiles,
  { fields, digest }: JsonFile,
  fileOf: (digest: string) => string,
  platform: Platform | null,
): Promise<FoundImage> {
  const mediaType = String(fields.mediaType ?? MANIFESTS[0]);
  if (!MANIFESTS.includes(mediaType)) throw badImage(`its manifest is of the type ${mediaType.slice(0, 100)}`);
  const config = descriptorOf(fields.config, "config");
  if (!CONFIGS.includes(config.mediaType)) throw badImage(`it holds ${config.mediaType.slice(0, 100)}, no file system`);
  const parsed = parseConfigFile((await readJson(files, fileOf(config.digest), config.digest)).fields);
  const layers = listOf(fields.layers, "layers").map((layer) => descriptorOf(layer, "layers"));
  for (const layer of layers) await requireBlob(files, fileOf(layer.digest), layer);
  const found = layers.map((layer) => ({ file: fileOf(layer.digest), digest: layer.digest }));
  return checked({ ...parsed, digest, layers: found }, platform);
}

async function requireBlob(files: ImageFiles, name: string, { digest, bytes }: Descriptor): Promise<void> {
  const file = await files.find(name);
  if (file === undefined) throw badImage(`its layer ${digest} is not there`);
  if (file.bytes !== bytes) throw badImage(`its layer ${digest} has ${file.bytes} bytes, and ${bytes} are declared`);
}

function checked(image: FoundImage, platform: Platform | null): FoundImage {
  const wanted = platform ?? hostPlatform();
  const count = image.layers.length;
  if (count === 0) throw badImage("it has no layers");
  if (count > MOST_LAYERS) throw badImage(`it has ${count} layers`);
  if (image.diffIds.length !== count) throw badImage(`it has ${count} layers and ${image.diffIds.length} diff_ids`);
  if (image.platform.architecture !== "" && !isFor(image.platform, wanted)) {
    throw badImage(`it is for ${formatPlatform(image.platform)}, and ${formatPlatform(wanted)} is wanted`);
  }
  return image;
}

function choose(index: JsonFile, name: string | null, platform: Platform): Descriptor {
  const all = listOf(index.fields.manifests, "manifests").map((item) => descriptorOf(item, "manifests"));
  const known = all.filter(({ mediaType }) => mediaType === "" || [...INDEXES, ...MANIFESTS].includes(mediaType));
  const named = known.filter((each) => name === null || namesOf(each).some((known) => isNamed(known, name)));
  const fitting = named.length === 1 ? named : named.filter((each) => isForPlatform(each, platform));
  const [chosen] = fitting;
  if (chosen !== undefined && new Set(fitting.map(({ digest }) => digest)).size === 1) return chosen;
  if (chosen === undefined && named.length > 0) throw badImage(`it has nothing for ${formatPlatform(platform)}`);
  throw notOne(name, known.flatMap(namesOf));
}

function isForPlatform({ fields }: Descriptor, wanted: Platform): boolean {
  if (fields.platform === undefined || fields.platform === null) return true;
  return isFor(platformOf(fieldsOf(fields.platform, "platform")), wanted);
}

function namesOf({ fields }: Descriptor): readonly string[] {
  const annotations = fields.annotations ? fieldsOf(fields.annotations, "annotations") : {};
  return REFERENCE_NAMES.flatMap((key) => (typeof annotations[key] === "string" ? [annotations[key]] : []));
}

/** Docker's own names may leave out where they are from, and the tag. */
const isNamed = (name: string, wanted: string | null): boolean =>
  name === wanted || name === `${wanted}:latest` || name === `docker.io/library/${wanted}`;

function notOne(name: string | null, names: readonly string[]): Error {
  const there = names.length === 0 ? "none has a name" : `there are ${names.slice(0, 20).join(", ")}`;
  return badImage(name === null ? `it is several images; ${there}` : `it has no image ${name}; ${there}`);
}

const blobOf = (digest: string): string => `blobs/${digest.replace(":", "/")}`;
