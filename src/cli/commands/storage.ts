import type { Command } from "commander";
import type { CollectRequest } from "../../model/storage.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { withDaemonOrStore } from "../daemon-or-store.ts";
import type { LayerOptions } from "../layer-source.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { collectionText, storageText } from "../render/storage.ts";
import { paintFor } from "../render/style.ts";
import { parseSize } from "../values/size.ts";

export function defineDf(program: Command, context: CliContext): void {
  const command = program.command("df").addOption(jsonOption("print the figures as JSON"));
  connectOptions(command).action(async (options: LayerOptions) => {
    const usage = await withDaemonOrStore(options, context, {
      daemon: ({ storage }) => storage.usage(),
      store: ({ layers }) => layers.usage(),
    });
    if (options.json) writeJson(context.stdout, usage);
    else context.stdout.write(storageText(usage, context.now(), paintFor(context, context.stdout)));
  });
}

interface GcOptions extends LayerOptions {
  readonly dryRun?: true;
  readonly budget?: number;
  readonly buildCache?: true;
}

export function defineGc(program: Command, context: CliContext): void {
  const command = program
    .command("gc")
    .option("-n, --dry-run", "tell what would go, and change nothing")
    .addOption(
      parsed("--budget <size>", "what layers may take, such as 20G, 0 for none (default: as configured)", parseBudget),
    )
    .option(
      "--build-cache",
      "take away all that builds of Dockerfiles keep for the next one (default: unused for a week)",
    )
    .addOption(jsonOption("print what went as JSON"));
  connectOptions(command).action(async (options: GcOptions) => {
    const { dryRun = false, budget, buildCache = false } = options;
    const request: CollectRequest = { dryRun, buildCache, ...(budget !== undefined && { budgetBytes: budget }) };
    const collection = await withDaemonOrStore(options, context, {
      daemon: ({ storage }) => storage.collect(request),
      store: ({ layers }) => layers.collect(request),
    });
    if (options.json) writeJson(context.stdout, collection);
    else context.stdout.write(collectionText(collection, dryRun, context.now(), paintFor(context, context.stdout)));
  });
}

const parseBudget = (text: string): number => (text === "0" ? 0 : parseSize(text));
