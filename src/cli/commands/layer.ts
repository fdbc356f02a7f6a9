import type { Command } from "commander";
import { Option } from "commander";
import { parseImageSource, parsePlatform } from "../../model/image-source.ts";
import { isPreset, PRESET_NAMES } from "../../model/presets.ts";
import { checkSource } from "../check-build.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import type { DockerfileOptions } from "../dockerfile-build.ts";
import { buildDockerfile } from "../dockerfile-build.ts";
import type { BuildOptions } from "../layer-build.ts";
import { buildLayer } from "../layer-build.ts";
import type { LayerOptions } from "../layer-source.ts";
import { withLayers } from "../layer-source.ts";
import { jsonOption, parsed, repeated, within } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { describeLayer, layerTable } from "../render/layer.ts";
import { paintFor } from "../render/style.ts";
import { warn } from "../render/warn.ts";
import { parseCompression } from "../values/compression.ts";
import { parseVariable } from "../values/environment.ts";
import { formatSize, parseSize } from "../values/size.ts";
import { defineActivate, defineDeactivate } from "./layer-activate.ts";
import { defineExport, defineImport } from "./layer-transfer.ts";

export function defineLayer(program: Command, context: CliContext): void {
  const layer = program.command("layer");
  defineBuild(layer, context);
  defineLs(layer, context);
  defineInspect(layer, context);
  defineRm(layer, context);
  defineActivate(layer, context);
  defineDeactivate(layer, context);
  defineExport(layer, context);
  defineImport(layer, context);
}

function defineBuild(layer: Command, context: CliContext): void {
  const build = layer
    .command("build")
    .summary("make a layer of files, an image, a Dockerfile, or what a sandbox has written")
    .description(
      "Pack a directory, a tar archive, an OCI image or what a Dockerfile makes into a read-only layer of this machine. The same tree gives the same digest.",
    )
    .argument("<name>", `three digits, its place in the stack, and a name: 100-tools; or ${PRESET_NAMES.join(", ")}`)
    .option("--from-dir <directory>", "the tree that becomes the layer's root")
    .option("--from-tar <file>", "a tar archive of that tree, compressed or not; - is stdin")
    .addOption(
      parsed(
        "--from <image>",
        "docker://HOST/NAME:TAG, oci:DIRECTORY, oci-archive:FILE or docker-archive:FILE; FILE may be - for stdin",
        (text) => parseImageSource(text, "--from"),
      ),
    )
    .option("--from-sandbox <sandbox>", "what a sandbox has written, by id or name; asks the daemon")
    .option("--checkpoint <checkpoint>", "of --from-sandbox (default: what it holds now)")
    .addOption(
      parsed("--platform <os/architecture>", "of --from, such as linux/arm64 (default: this machine's)", (text) =>
        parsePlatform(text, "--platform"),
      ),
    )
    .option("--authfile <file>", "credentials of registries, as skopeo login and docker login keep them");
  packingOptions(dockerfileOptions(build, context))
    .addOption(repeated("--parent <layer>", "layer that it was made on", String))
    .option("--replace", "take the name from the layer that has it")
    .addOption(jsonOption("print the manifest as JSON"));
  connectOptions(build).action(async (name: string, options: BuildOptions | DockerfileOptions) => {
    checkSource(options, isPreset(name));
    if ("dockerfile" in options) await buildDockerfile(name, options, context);
    else await buildLayer(name, options, context);
  });
}

function dockerfileOptions(command: Command, context: CliContext): Command {
  return command
    .option("--dockerfile <file>", "a Dockerfile, whose steps are run in sandboxes without network; - is stdin")
    .option("--context <directory>", "of --dockerfile, what it copies from (default: the directory that it is in)")
    .addOption(
      repeated("--build-arg <name=value>", "of --dockerfile, an argument; NAME alone passes your own value", (text) =>
        parseVariable(text, context.env),
      ),
    )
    .option("--target <stage>", "of --dockerfile, the stage that is wanted (default: the last one)")
    .option("--no-cache", "of --dockerfile, do every step again, and ask for images again")
    .addOption(
      parsed(
        "--memory-limit <size>",
        "of --dockerfile, memory of each command with what it starts",
        within("memoryBytes", parseSize, formatSize),
      ),
    );
}

function packingOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--format <format>", "what the image is (default: squashfs, or as configured)").choices([
        "squashfs",
        "erofs",
      ]),
    )
    .addOption(
      parsed(
        "--compression <algorithm[:level]>",
        "such as zstd:19, gzip, lz4 (default: as configured)",
        parseCompression,
      ),
    )
    .addOption(parsed("--block-size <size>", "of what is compressed at once, 4K to 1M (default: 128K)", parseSize));
}

function defineLs(layer: Command, context: CliContext): void {
  const command = layer.command("ls").summary("list layers").addOption(jsonOption("print the manifests as JSON"));
  connectOptions(command).action(async (options: LayerOptions) => {
    const layers = await withLayers(options, context, (source) => source.list());
    if (options.json) writeJson(context.stdout, layers);
    else context.stdout.write(layerTable(layers, context.now(), paintFor(context, context.stdout)));
  });
}

function defineInspect(layer: Command, context: CliContext): void {
  const command = layer
    .command("inspect")
    .summary("show a layer's manifest")
    .argument("<name>", "the layer")
    .addOption(jsonOption("print the manifest as JSON"));
  connectOptions(command).action(async (name: string, options: LayerOptions) => {
    const { manifest, warnings } = await withLayers(options, context, async (source) => ({
      manifest: await source.get(name),
      warnings: await source.warnings(name),
    }));
    warn(context, warnings);
    if (options.json) writeJson(context.stdout, manifest);
    else context.stdout.write(describeLayer(manifest, context.now(), paintFor(context, context.stdout)));
  });
}

function defineRm(layer: Command, context: CliContext): void {
  const command = layer
    .command("rm")
    .summary("remove a layer that no sandbox uses")
    .argument("<name>", "the layer")
    .addOption(jsonOption("print what was removed as JSON"));
  connectOptions(command).action(async (name: string, options: LayerOptions) => {
    await withLayers(options, context, (source) => source.remove(name));
    if (options.json) writeJson(context.stdout, { layer: name, removed: true });
    else context.stdout.write(`${name}\n`);
  });
}
