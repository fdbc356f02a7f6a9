import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Readable } from "node:stream";
import { PlyboxError } from "../model/errors.ts";
import { parseLayerName } from "../model/ids.ts";
import type { ImageFormat, LayerManifest, PackingRequest } from "../model/layer.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOfSignal } from "./exit-code.ts";
import { loadOneShot } from "./load-daemon.ts";
import { writeJson } from "./render/json.ts";
import { Progress } from "./render/progress.ts";
import { Interrupts } from "./stdio/interrupts.ts";
import { formatSize } from "./values/size.ts";

export interface BuildOptions {
  readonly fromDir?: string;
  /** A file, or `-` for stdin. */
  readonly fromTar?: string;
  readonly parent?: readonly string[];
  readonly format?: ImageFormat;
  /** `ALGORITHM` or `ALGORITHM:LEVEL`. */
  readonly compression?: Pick<PackingRequest, "algorithm" | "level">;
  readonly blockSize?: number;
  readonly replace?: true;
  readonly json?: true;
}

type OneShot = Awaited<ReturnType<typeof loadOneShot>>;

/** Builds in this process: the tree is this machine's, and a layer needs no daemon. */
export async function buildLayer(name: string, options: BuildOptions, context: CliContext): Promise<void> {
  const parsed = parseLayerName(name, "name");
  if ((options.fromDir === undefined) === (options.fromTar === undefined)) {
    throw new PlyboxError("input/invalid", "give what the layer is made of: either --from-dir or --from-tar");
  }
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  const oneShot = await loadOneShot(context);
  try {
    const manifest = await buildHere(oneShot, parsed, { ...options, signal: abort.signal }, context);
    if (options.json) writeJson(context.stdout, manifest);
    else context.stdout.write(`${manifest.name}   ${formatSize(manifest.bytes)}   sha256:${manifest.digest}\n`);
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  } finally {
    await oneShot.close();
  }
}

async function buildHere(
  { layers }: OneShot,
  name: string,
  options: BuildOptions & { readonly signal: AbortSignal },
  context: CliContext,
): Promise<LayerManifest> {
  const { fromDir, fromTar = "-", replace, parent: parents = [], signal } = options;
  using progress = new Progress(context.stderr, `packing ${name}`);
  const build = {
    ...{ replace: replace === true, parents, packing: packingOf(options), signal },
    onProgress: ({ step, doneBytes, totalBytes }: { step: string; doneBytes: number; totalBytes: number | null }) => {
      const of = totalBytes === null ? "" : ` of ${formatSize(totalBytes)}`;
      progress.update(`${step === "read" ? "reading" : "packing"} ${name}: ${formatSize(doneBytes)}${of}`);
    },
  };
  if (fromDir !== undefined) return await layers.buildFromDirectory(name, resolve(context.cwd(), fromDir), build);
  if (fromTar === "-")
    return await layers.buildFromTar(name, context.stdin as AsyncIterable<Buffer>, { ...build, source: "stdin" });
  const source = resolve(context.cwd(), fromTar);
  return await layers.buildFromTar(name, await openArchive(source), { ...build, source });
}

async function openArchive(path: string): Promise<Readable> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new PlyboxError("input/invalid", `${JSON.stringify(path)} ${reason}`, { field: "--from-tar", cause });
  };
  const stats = await stat(path).catch((cause) => refuse("does not exist", cause));
  if (stats.isDirectory()) refuse("is a directory; give it to --from-dir");
  const stream = createReadStream(path, { highWaterMark: 1024 * 1024 });
  await once(stream, "open").catch((cause) => refuse("cannot be read", cause));
  return stream;
}

const packingOf = ({ format, compression, blockSize }: BuildOptions): PackingRequest => ({
  ...compression,
  ...(format !== undefined && { format }),
  ...(blockSize !== undefined && { blockBytes: blockSize }),
});
