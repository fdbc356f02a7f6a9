import { PassThrough } from "node:stream";
import { parseBuildArgument } from "../model/build-argument.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ImageSource, Platform, RegistryCredentials } from "../model/image-source.ts";
import { parseImageName, parseImageSource, parsePlatform } from "../model/image-source.ts";
import type { BuildProgress, LayerManifest, PackingRequest } from "../model/layer.ts";
import type { PresetName } from "../model/presets.ts";
import type { SandboxCheckpoints } from "../sandbox/sandbox-checkpoints.ts";
import { acceptsEvents, json, noContent } from "./answers.ts";
import { buildEvents } from "./build-events.ts";
import type { CapturedLayer, LayerView } from "./contract.ts";
import { receiveBody } from "./file-transfer.ts";
import { maySeeLayer, requireSeen } from "./gate.ts";
import type { LayerRoutes } from "./layer-routes.ts";
import type { Call, Handlers } from "./route.ts";
import type { ServerSentEventOptions } from "./server-sent-events.ts";
import { serverSentEvents } from "./server-sent-events.ts";

/** What the API needs of the layer store. `layer` is a name, its part after the number, or a digest. */
export interface Layers {
  list(): Promise<readonly LayerManifest[]>;
  /** Throws `layer/not-found`. */
  inspect(layer: string): Promise<LayerManifest>;
  /** What has changed since a layer was made that it was made on. Throws as `inspect`. */
  warnings(layer: string): Promise<readonly string[]>;
  readonly make: LayerMaking;
  /** Throws `layer/not-found`, and `layer/in-use` while a sandbox stands on it. */
  remove(layer: string): Promise<void>;
}

/** What the API needs of who makes layers. */
export interface LayerMaking {
  /** Makes a layer of Debian's packages. */
  preset(preset: PresetName, options: BuildOptions): Promise<LayerManifest>;
  /** Makes a layer of a tar archive. Throws `input/invalid`, `file/bad-archive`, `layer/exists` and what a build fails with. */
  fromTar(
    name: string,
    archive: AsyncIterable<Buffer>,
    options: BuildOptions & { readonly source: string; readonly parents: readonly string[] },
  ): Promise<LayerManifest>;
  /** Makes a layer of an image. Throws as `fromTar`, `image/invalid` and `image/pull-failed`. */
  fromImage(name: string, request: ImageRequest, options: BuildOptions): Promise<LayerManifest>;
}

export interface BuildOptions {
  readonly replace: boolean;
  readonly packing: PackingRequest;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

/** The image that a layer is to be made of; `archive` where it is not in a registry. */
export interface ImageRequest {
  readonly source: ImageSource;
  readonly archive?: AsyncIterable<Buffer>;
  readonly platform?: Platform;
  readonly credentials?: RegistryCredentials;
}

/** What the API needs of who builds Dockerfiles. */
export interface DockerfileBuilds {
  /** Throws `build/…`, and as layers and sandboxes are made. */
  build(name: string, request: DockerfileRequest): Promise<Made>;
}

export interface DockerfileRequest extends BuildOptions {
  readonly input: { readonly archive: AsyncIterable<Buffer>; readonly dockerfile: string };
  /** What the Dockerfile is called in the manifest. */
  readonly source: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly noCache: boolean;
  /** Of each step's sandbox. */
  readonly limits?: { readonly memoryBytes: number };
}

/** A layer, and what may not be as whoever asked for it expects. */
export interface Made {
  readonly manifest: LayerManifest;
  readonly warnings?: readonly string[];
}

/** Who sent it, for the manifest. */
const UPLOAD = "upload";

type DockerfileQuery = Call<LayerRoutes["buildDockerfile"]>["query"];

interface LayerParts {
  readonly layers: Layers;
  readonly builds: DockerfileBuilds;
  readonly checkpoints: Pick<SandboxCheckpoints, "captureLayer">;
}

export function layerHandlers(
  { layers, builds, checkpoints }: LayerParts,
  streams: ServerSentEventOptions,
): Handlers<LayerRoutes> {
  const withWarnings = async ({ manifest, warnings: known = [] }: Made): Promise<LayerView> => {
    const warnings = [...known, ...(await layers.warnings(manifest.name))];
    return { ...layerView(manifest), ...(warnings.length > 0 && { warnings: [...warnings] }) };
  };
  /** Answers with the layer, or with the events of its build. */
  const answerView = async (
    { incoming, signal }: Pick<Call<LayerRoutes["buildLayer"]>, "incoming" | "signal">,
    build: (way: Pick<BuildOptions, "signal" | "onProgress">) => Promise<LayerView>,
  ): Promise<Response> => {
    if (!acceptsEvents(incoming)) return json(201, await build({ signal }));
    return serverSentEvents((gone) => buildEvents((onProgress) => build({ signal: gone, onProgress })), streams);
  };
  const answer = (
    call: Parameters<typeof answerView>[0],
    build: (way: Pick<BuildOptions, "signal" | "onProgress">) => Promise<Made>,
  ): Promise<Response> => answerView(call, async (way) => await withWarnings(await build(way)));

  return {
    async listLayers({ principal }) {
      const manifests = (await layers.list()).filter(({ name }) => maySeeLayer(principal, name));
      return json(200, { layers: manifests.map(layerView) });
    },
    async buildLayer(call) {
      const { name, replace = false, parent: parents = [], archive: kind = "tar", ...rest } = call.query;
      const { image, platform, ...packing } = rest;
      const request = kind === "tar" ? undefined : uploaded(kind, image, platform);
      refuseUnused({ kind, image, platform, parents });
      return await answer(call, async (way) => {
        const body = new PassThrough();
        const options = { replace, packing, ...way };
        // Whichever fails first is the answer: a body that is cut off, or a build that wants no more of it.
        const building =
          request === undefined
            ? layers.make.fromTar(name, body, { ...options, source: UPLOAD, parents })
            : layers.make.fromImage(name, { ...request, archive: body }, options);
        await Promise.race([receiveBody(call.incoming, body), building]);
        return { manifest: await building };
      });
    },
    async buildDockerfile(call) {
      const request = dockerfileRequest(call.query);
      return await answer(call, async (way) => {
        const body = new PassThrough();
        const input = { archive: body, dockerfile: request.source };
        const building = builds.build(call.query.name, { ...request, input, ...way });
        await Promise.race([receiveBody(call.incoming, body), building]);
        return await building;
      });
    },
    async pullLayer(call) {
      const { name, replace = false, image, platform, credentials, ...packing } = call.body;
      const request = pulled(image, platform, credentials);
      return await answer(call, async (way) => ({
        manifest: await layers.make.fromImage(name, request, { replace, packing, ...way }),
      }));
    },
    async makePreset(call) {
      const { preset, replace = false, ...packing } = call.body;
      return await answer(call, async (way) => ({
        manifest: await layers.make.preset(preset, { replace, packing, ...way }),
      }));
    },
    async captureLayer(call) {
      const { sandbox, ...wish } = captureWish(call.body);
      call.concerns({ sandbox });
      return await answerView(call, async (way): Promise<CapturedLayer> => {
        const { layer, ...how } = await checkpoints.captureLayer(sandbox, { ...wish, ...way });
        return { ...(await withWarnings({ manifest: layer })), ...how };
      });
    },
    async getLayer({ principal, params }) {
      const manifest = await layers.inspect(params.layer);
      requireSeen(principal, manifest.name);
      return json(200, await withWarnings({ manifest }));
    },
    async removeLayer({ params }) {
      await layers.remove(params.layer);
      return noContent();
    },
  };
}

function captureWish({
  name,
  sandbox,
  checkpoint,
  replace = false,
  ...packing
}: Call<LayerRoutes["captureLayer"]>["body"]) {
  return { name, sandbox, replace, packing, ...(checkpoint !== undefined && { point: checkpoint }) };
}

function dockerfileRequest(query: DockerfileQuery): Omit<DockerfileRequest, "input" | "signal"> {
  const { name: _, replace = false, dockerfile = "Dockerfile", buildArg = [], target, ...rest } = query;
  const { noCache = false, memoryBytes, ...packing } = rest;
  return {
    source: dockerfile,
    noCache,
    replace,
    packing,
    buildArgs: Object.fromEntries(buildArg.map((text) => parseBuildArgument(text, "buildArg"))),
    ...(target !== undefined && { target }),
    ...(memoryBytes !== undefined && { limits: { memoryBytes } }),
  };
}

function uploaded(
  transport: "oci-archive" | "docker-archive",
  image: string | undefined,
  platform: string | undefined,
): ImageRequest {
  const name = image === undefined ? null : parseImageName(image, "image");
  return {
    source: { transport, path: UPLOAD, image: name },
    ...(platform !== undefined && { platform: parsePlatform(platform, "platform") }),
  };
}

function pulled(
  image: string,
  platform: string | undefined,
  credentials: RegistryCredentials | undefined,
): ImageRequest {
  const source = parseImageSource(image, "image");
  // Paths of this machine are its own user's.
  if (source.transport !== "docker") throw invalid("image", "an image is pulled from docker://");
  return {
    source,
    ...(platform !== undefined && { platform: parsePlatform(platform, "platform") }),
    ...(credentials && { credentials }),
  };
}

function refuseUnused({
  kind,
  image,
  platform,
  parents,
}: Record<"kind" | "image" | "platform", string | undefined> & { readonly parents: readonly string[] }): void {
  if (kind !== "tar" && parents.length > 0) throw invalid("parent", "an image stands on nothing");
  if (kind === "tar" && image !== undefined) throw invalid("image", "a tree is no image; say what the archive is");
  if (kind === "tar" && platform !== undefined)
    throw invalid("platform", "a tree is no image; say what the archive is");
}

const invalid = (field: string, message: string): PlyboxError => new PlyboxError("input/invalid", message, { field });

type Writable<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? Writable<Item>[]
    : { -readonly [Key in keyof T]: Writable<T[Key]> };

/** A manifest is shown as it is; a copy, since an answer may be written to. */
export const layerView = (manifest: LayerManifest): LayerView => structuredClone(manifest) as Writable<LayerManifest>;
