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
import { loadOneShot } from "./load-daemon.ts";
import { BuildReport } from "./render/build-report.ts";
import { writeJson } from "./render/json.ts";
import { warn } from "./render/warn.ts";
import { interruptible } from "./stdio/interruptible.ts";
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

/** Says what was made. */
export function showBuilt(
  manifest: { readonly name: string; readonly bytes: number; readonly digest: string },
  warnings: readonly string[],
  { json }: Pick<BuildOptions, "json">,
  context: CliContext,
): void {
  warn(context, warnings);
  if (json) writeJson(context.stdout, manifest);
  else context.stdout.write(`${manifest.name}   ${formatSize(manifest.bytes)}   sha256:${manifest.digest}\n`);
}

type OneShot = Awaited<ReturnType<typeof loadOneShot>>;

/** Builds in this process: the tree is this machine's, and a layer needs no daemon. */
export async function buildLayer(name: string, options: BuildOptions, context: CliContext): Promise<void> {
  const parsed = isPreset(name) ? name : parseLayerName(name, "name");
  if (options.fromSandbox !== undefined) return await captureLayer(name, options.fromSandbox, options, context);
  await interruptible(context, async (signal) => {
    const oneShot = await loadOneShot(context);
    try {
      const manifest = await buildHere(oneShot, parsed, { ...options, signal }, context);
      showBuilt(manifest, await oneShot.layers.warnings(manifest.name), options, context);
    } finally {
      await oneShot.close();
    }
  });
}

/** What a sandbox has written is the daemon's to pack. */
async function captureLayer(
  name: string,
  sandbox: string,
  { checkpoint, replace, ...options }: BuildOptions,
  context: CliContext,
): Promise<void> {
  await interruptible(context, async (signal) => {
    using report = new BuildReport(name, context, options);
    const layer = await (await connect(options, context)).layers.fromSandbox(name, sandbox, {
      ...packingOf(options),
      ...(checkpoint !== undefined && { checkpoint }),
      ...(replace && { replace }),
      signal,
      onProgress: (each) => report.update(each),
    });
    report[Symbol.dispose]();
    showBuilt(layer, layer.warnings ?? [], options, context);
    if (layer.mechanism === "in-place" && layer.frozen) {
      context.stderr.write("plybox: its commands stood still until all was packed; with --snapshots they would not\n");
    }
  });
}

async function buildHere(
  { layers }: OneShot,
  name: string,
  options: BuildOptions & { readonly signal: AbortSignal },
  context: CliContext,
): Promise<LayerManifest> {
  const { fromDir, fromTar = "-", from, replace, parent: parents = [], signal } = options;
  using report = new BuildReport(name, context, options);
  const build = {
    ...{ replace: replace === true, packing: packingOf(options), signal },
    onProgress: (progress: BuildProgress) => report.update(progress),
  };
  if (isPreset(name)) return await layers.make.preset(name, build);
  if (from !== undefined) return await layers.make.fromImage(name, await requestOf(from, options, context), build);
  if (fromDir !== undefined) {
    return await layers.make.fromDirectory(name, resolve(context.cwd(), fromDir), { ...build, parents });
  }
  const { archive, source } = await openArchive(fromTar, "--from-tar", context);
  return await layers.make.fromTar(name, archive, { ...build, parents, source });
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

export const packingOf = ({ format, compression, blockSize }: BuildOptions): PackingRequest => ({
  ...compression,
  ...(format !== undefined && { format }),
  ...(blockSize !== undefined && { blockBytes: blockSize }),
});
