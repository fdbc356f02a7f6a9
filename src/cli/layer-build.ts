import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Readable } from "node:stream";
import { PlyboxError } from "../model/errors.ts";
import { parseLayerName } from "../model/ids.ts";
import type { ImageSource, Platform } from "../model/image-source.ts";
import type { BuildProgress, ImageFormat, LayerManifest, PackingRequest } from "../model/layer.ts";
import { isPreset } from "../model/presets.ts";
import type { ConnectOptions } from "./connect.ts";
import { connect } from "./connect.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOfSignal } from "./exit-code.ts";
import { loadOneShot } from "./load-daemon.ts";
import { writeJson } from "./render/json.ts";
import { Progress, progressBar } from "./render/progress.ts";
import { warn } from "./render/warn.ts";
import { Interrupts } from "./stdio/interrupts.ts";
import { formatSize } from "./values/size.ts";

export interface BuildOptions extends ConnectOptions {
  /** A sandbox of the daemon, by id or name. */
  readonly fromSandbox?: string;
  readonly checkpoint?: string;
  readonly fromDir?: string;
  /** A file, or `-` for stdin. */
  readonly fromTar?: string;
  readonly from?: ImageSource;
  readonly platform?: Platform;
  /** A file with credentials of registries. */
  readonly authfile?: string;
  readonly parent?: readonly string[];
  readonly format?: ImageFormat;
  /** `ALGORITHM` or `ALGORITHM:LEVEL`. */
  readonly compression?: Pick<PackingRequest, "algorithm" | "level">;
  readonly blockSize?: number;
  readonly replace?: true;
  readonly json?: true;
}

type Step = BuildProgress["step"];
const STEPS: Readonly<Record<Step, string>> = {
  pull: "pulling",
  install: "installing",
  read: "reading",
  pack: "packing",
};

function describeProgress(name: string, { step, doneBytes, totalBytes, detail }: BuildProgress): string {
  const of = totalBytes === null ? "" : ` of ${formatSize(totalBytes)} ${progressBar(doneBytes, totalBytes)}`;
  return `${STEPS[step]} ${name}: ${detail ?? `${formatSize(doneBytes)}${of}`}`;
}

type OneShot = Awaited<ReturnType<typeof loadOneShot>>;

/** Builds in this process: the tree is this machine's, and a layer needs no daemon. */
export async function buildLayer(name: string, options: BuildOptions, context: CliContext): Promise<void> {
  const parsed = isPreset(name) ? name : parseLayerName(name, "name");
  checkSource(options, isPreset(name));
  if (options.fromSandbox !== undefined) return await captureLayer(name, options.fromSandbox, options, context);
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  const oneShot = await loadOneShot(context);
  try {
    const manifest = await buildHere(oneShot, parsed, { ...options, signal: abort.signal }, context);
    warn(context, await oneShot.layers.warnings(manifest.name));
    if (options.json) writeJson(context.stdout, manifest);
    else context.stdout.write(`${manifest.name}   ${formatSize(manifest.bytes)}   sha256:${manifest.digest}\n`);
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  } finally {
    await oneShot.close();
  }
}

function checkSource(options: BuildOptions, isPreset: boolean): void {
  const { fromDir, fromTar, from, fromSandbox, parent, platform, authfile, checkpoint } = options;
  const sources = [fromDir, fromTar, from, fromSandbox].filter((each) => each !== undefined);
  if (isPreset && (sources.length > 0 || parent !== undefined)) {
    throw new PlyboxError("input/invalid", "it has its own packages, and is made of nothing else", { field: "name" });
  }
  if (!isPreset && sources.length !== 1) {
    throw new PlyboxError(
      "input/invalid",
      "give what the layer is made of: --from-dir, --from-tar, --from or --from-sandbox",
    );
  }
  const refuse = (option: string, message: string): never => {
    throw new PlyboxError("input/invalid", message, { field: option });
  };
  if (from !== undefined && parent !== undefined) refuse("--parent", "an image stands on nothing");
  if (fromSandbox !== undefined && parent !== undefined) refuse("--parent", "it is what the sandbox stands on");
  if (fromSandbox === undefined && checkpoint !== undefined) refuse("--checkpoint", "goes with --from-sandbox");
  if (from === undefined && platform !== undefined) refuse("--platform", "goes with --from");
  if (from?.transport !== "docker" && authfile !== undefined) refuse("--authfile", "goes with --from docker://");
}

/** What a sandbox has written is the daemon's to pack. */
async function captureLayer(
  name: string,
  sandbox: string,
  { checkpoint, replace, ...options }: BuildOptions,
  context: CliContext,
): Promise<void> {
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, () => abort.abort());
  using progress = new Progress(context.stderr, `packing ${name}`);
  try {
    const layer = await (await connect(options, context)).layers.fromSandbox(name, sandbox, {
      ...packingOf(options),
      ...(checkpoint !== undefined && { checkpoint }),
      ...(replace && { replace }),
      signal: abort.signal,
      onProgress: (each) => progress.update(describeProgress(name, each)),
    });
    warn(context, layer.warnings ?? []);
    if (options.json) writeJson(context.stdout, layer);
    else context.stdout.write(`${layer.name}   ${formatSize(layer.bytes)}   sha256:${layer.digest}\n`);
    if (layer.mechanism === "in-place" && layer.frozen) {
      context.stderr.write("plybox: its commands stood still until all was packed; with --snapshots they would not\n");
    }
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}

async function buildHere(
  { layers }: OneShot,
  name: string,
  options: BuildOptions & { readonly signal: AbortSignal },
  context: CliContext,
): Promise<LayerManifest> {
  const { fromDir, fromTar = "-", from, replace, parent: parents = [], signal } = options;
  using progress = new Progress(context.stderr, `packing ${name}`);
  const build = {
    ...{ replace: replace === true, packing: packingOf(options), signal },
    onProgress: (each: BuildProgress) => progress.update(describeProgress(name, each)),
  };
  if (isPreset(name)) return await layers.buildPreset(name, build);
  if (from !== undefined) return await layers.buildFromImage(name, await requestOf(from, options, context), build);
  if (fromDir !== undefined) {
    return await layers.buildFromDirectory(name, resolve(context.cwd(), fromDir), { ...build, parents });
  }
  const { archive, source } = await openArchive(fromTar, "--from-tar", context);
  return await layers.buildFromTar(name, archive, { ...build, parents, source });
}

/** Paths are this user's, so they are opened here. */
async function requestOf(source: ImageSource, { platform, authfile }: BuildOptions, context: CliContext) {
  const common = {
    ...(platform !== undefined && { platform }),
    ...(authfile !== undefined && { authFile: resolve(context.cwd(), authfile) }),
  };
  if (source.transport === "docker") return { ...common, source };
  if (source.transport === "oci")
    return { ...common, source: { ...source, path: resolve(context.cwd(), source.path) } };
  const { archive, source: path } = await openArchive(source.path, "--from", context);
  return { ...common, source: { ...source, path }, archive };
}

/** @param path of a file, or `-` for stdin */
async function openArchive(
  path: string,
  field: string,
  context: CliContext,
): Promise<{ readonly archive: AsyncIterable<Buffer>; readonly source: string }> {
  if (path === "-") return { archive: context.stdin as AsyncIterable<Buffer>, source: "stdin" };
  const source = resolve(context.cwd(), path);
  const refuse = (reason: string, cause?: unknown): never => {
    throw new PlyboxError("input/invalid", `${JSON.stringify(source)} ${reason}`, { field, cause });
  };
  const stats = await stat(source).catch((cause) => refuse("does not exist", cause));
  if (stats.isDirectory()) refuse(`is a directory; give it to ${field === "--from" ? "--from oci:" : "--from-dir"}`);
  const archive: Readable = createReadStream(source, { highWaterMark: 1024 * 1024 });
  await once(archive, "open").catch((cause) => refuse("cannot be read", cause));
  return { archive, source };
}

const packingOf = ({ format, compression, blockSize }: BuildOptions): PackingRequest => ({
  ...compression,
  ...(format !== undefined && { format }),
  ...(blockSize !== undefined && { blockBytes: blockSize }),
});
