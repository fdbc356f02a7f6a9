import type { Command } from "commander";
import type { RecomposedView, Sandbox } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { warn } from "../render/warn.ts";

interface ComposeOptions extends ConnectOptions {
  readonly keepProcesses?: true;
  readonly json?: true;
}

export function defineActivate(layer: Command, context: CliContext): void {
  const command = layer
    .command("activate")
    .summary("add a layer to what a sandbox stands on")
    .description("Add a layer to what a sandbox stands on, where the layer's number puts it.");
  define(command, context, (sandbox, name, options) => sandbox.activateLayer(name, options));
}

export function defineDeactivate(layer: Command, context: CliContext): void {
  const command = layer
    .command("deactivate")
    .summary("take a layer away from what a sandbox stands on")
    .description("Take a layer away from what a sandbox stands on. What the sandbox wrote stays.");
  define(command, context, (sandbox, name, options) => sandbox.deactivateLayer(name, options));
}

type Compose = (
  sandbox: Sandbox,
  layer: string,
  options: Parameters<Sandbox["activateLayer"]>[1],
) => Promise<RecomposedView>;

function define(command: Command, context: CliContext, compose: Compose): void {
  command
    .argument("<sandbox>", "id or name")
    .argument("<layer>", "the layer")
    .option("--keep-processes", "refuse rather than end the sandbox's processes")
    .addOption(jsonOption("print what was done as JSON"));
  connectOptions(command).action(async (ref: string, name: string, options: ComposeOptions) => {
    const sandbox = await (await connect(options, context)).get(ref);
    const done = await compose(sandbox, name, options.keepProcesses ? { processes: "keep" } : {});
    warn(context, done.sandbox.warnings);
    if (options.json) return writeJson(context.stdout, done);
    for (const each of done.changed) context.stdout.write(`${each}\n`);
    if (done.processes !== "ended") return;
    context.stderr.write("plybox: its commands were ended, and it was started again\n");
  });
}
