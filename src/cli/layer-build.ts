import { resolve } from "node:path";
import { PlyboxError } from "../model/errors.ts";
import { parseLayerName } from "../model/ids.ts";
import type { ImageFormat, PackingRequest } from "../model/layer.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOfSignal } from "./exit-code.ts";
import { loadOneShot } from "./load-daemon.ts";
import { writeJson } from "./render/json.ts";
import { Progress } from "./render/progress.ts";
import { Interrupts } from "./stdio/interrupts.ts";
import { formatSize } from "./values/size.ts";

export interface BuildOptions {
  readonly fromDir: string;
  readonly format?: ImageFormat;
  /** `ALGORITHM` or `ALGORITHM:LEVEL`. */
  readonly compression?: Pick<PackingRequest, "algorithm" | "level">;
  readonly blockSize?: number;
  readonly replace?: true;
  readonly json?: true;
}

/** Builds in this process: the tree is this machine's, and a layer needs no daemon. */
export async function buildLayer(name: string, options: BuildOptions, context: CliContext): Promise<void> {
  const parsed = parseLayerName(name, "name");
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  const oneShot = await loadOneShot(context);
  try {
    using progress = new Progress(context.stderr, `packing ${parsed}`);
    const manifest = await oneShot.layers.buildFromDirectory(parsed, resolve(context.cwd(), options.fromDir), {
      replace: options.replace === true,
      packing: packingOf(options),
      signal: abort.signal,
      onProgress: ({ doneBytes, totalBytes }) =>
        progress.update(`packing ${parsed}: ${formatSize(doneBytes)} of ${formatSize(totalBytes)}`),
    });
    progress[Symbol.dispose]();
    if (options.json) writeJson(context.stdout, manifest);
    else context.stdout.write(`${manifest.name}   ${formatSize(manifest.bytes)}   sha256:${manifest.digest}\n`);
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  } finally {
    await oneShot.close();
  }
}

const packingOf = ({ format, compression, blockSize }: BuildOptions): PackingRequest => ({
  ...compression,
  ...(format !== undefined && { format }),
  ...(blockSize !== undefined && { blockBytes: blockSize }),
});
