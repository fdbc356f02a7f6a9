import { once } from "node:events";
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { Option } from "commander";
import { PlyboxError } from "../../model/errors.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { writeLocal } from "../copy/copy.ts";
import { withDaemonOrStore } from "../daemon-or-store.ts";
import type { LayerOptions } from "../layer-source.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import type { LayerDescription } from "../render/layer.ts";
import { Progress } from "../render/progress.ts";
import { formatSize } from "../values/size.ts";

const PIECE_BYTES = 1024 * 1024;

interface ExportOptions extends LayerOptions {
  readonly output: string;
  readonly parents?: true;
  readonly as?: "artifacts" | "image";
}

export function defineExport(layer: Command, context: CliContext): void {
  const command = layer
    .command("export")
    .summary("write layers to one file")
    .description("Write layers to one file, which is an OCI layout too, for `plybox layer import` on another machine.")
    .argument("<name...>", "the layers")
    .requiredOption("-o, --output <file>", "where to; - is stdout")
    .option("--parents", "also the layers that they were made on")
    .addOption(
      new Option(
        "--as <kind>",
        "an artifact each, or together an image for container engines (default: artifacts)",
      ).choices(["artifacts", "image"]),
    );
  connectOptions(command).action(async (names: string[], options: ExportOptions) => {
    const { output, parents = false, as = "artifacts" } = options;
    const target = output === "-" ? undefined : resolve(context.cwd(), output);
    if (target === undefined && context.stdout.isTTY === true) {
      throw new PlyboxError("input/invalid", "an archive is nothing for a terminal; give a file to --output");
    }
    await withDaemonOrStore(options, context, {
      daemon: async ({ layers }) => await write(await layers.export(names, { parents, as }), target, context),
      store: async ({ layers }) => {
        await using exported = await layers.transfer.export(names, { parents, as });
        await write(exported.chunks(), target, context);
      },
    });
  });
}

async function write(
  archive: AsyncIterable<Uint8Array>,
  target: string | undefined,
  context: CliContext,
): Promise<void> {
  using progress = new Progress(context.stderr, "exporting");
  const content = counted(archive, (bytes) => progress.update(`exporting: ${formatSize(bytes)}`));
  if (target !== undefined) await writeLocal(content, target, 0o644);
  // The caller's own stream stays open.
  else await pipeline(Readable.from(content, { objectMode: false }), context.stdout, { end: false });
}

interface ImportOptions extends LayerOptions {
  readonly replace?: true;
  readonly requireSignature?: true;
}

export function defineImport(layer: Command, context: CliContext): void {
  const command = layer
    .command("import")
    .summary("take in layers from a file")
    .description("Take in the layers of a file that `plybox layer export` wrote, all of them or none.")
    .argument("<file>", "the archive; - is stdin")
    .option("--replace", "take names from the layers that have them")
    .option("--require-signature", "refuse what no trusted key has signed")
    .addOption(jsonOption("print the manifests as JSON"));
  connectOptions(command).action(async (file: string, options: ImportOptions) => {
    const { replace = false, requireSignature = false } = options;
    using progress = new Progress(context.stderr, "importing");
    const open = async (): Promise<AsyncIterable<Buffer>> =>
      counted(await openArchive(file, context), (bytes) => progress.update(`importing: ${formatSize(bytes)}`));
    const request = { replace, requireSignature };
    const layers = await withDaemonOrStore(options, context, {
      daemon: async (daemon) => await daemon.layers.import(await open(), request),
      store: async (store) => await store.layers.transfer.import(await open(), request),
    });
    tell(layers, options, context);
  });
}

function tell(layers: readonly LayerDescription[], { json }: ImportOptions, { stdout }: CliContext): void {
  if (json) writeJson(stdout, layers);
  else
    for (const { name, bytes, digest } of layers) stdout.write(`${name}   ${formatSize(bytes)}   sha256:${digest}\n`);
}

async function openArchive(file: string, context: CliContext): Promise<AsyncIterable<Buffer>> {
  if (file === "-") return context.stdin as AsyncIterable<Buffer>;
  const path = resolve(context.cwd(), file);
  const stream = createReadStream(path, { highWaterMark: PIECE_BYTES });
  await once(stream, "open").catch((cause: Error) => {
    throw new PlyboxError("input/invalid", `${JSON.stringify(path)} cannot be read: ${cause.message}`, { cause });
  });
  return stream;
}

async function* counted<T extends Uint8Array>(
  chunks: AsyncIterable<T>,
  tell: (bytes: number) => void,
): AsyncGenerator<T> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    tell(bytes);
    yield chunk;
  }
}
