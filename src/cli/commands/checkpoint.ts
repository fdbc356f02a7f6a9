import type { Command } from "commander";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { timelineTable } from "../render/checkpoint.ts";
import { writeJson } from "../render/json.ts";
import { paintFor } from "../render/style.ts";

interface CheckpointOptions extends ConnectOptions {
  readonly name?: string;
  /** False for `--no-freeze`. */
  readonly freeze: boolean;
  readonly json?: true;
}

export function defineCheckpoint(program: Command, context: CliContext): void {
  const command = program
    .command("checkpoint")
    .argument("<sandbox>", "id or name")
    .option("--name <name>", "a name to find it by; with one it stays until it is removed")
    .option("--no-freeze", "let commands go on while it is made")
    .addOption(jsonOption("print the checkpoint as JSON"));
  connectOptions(command).action(async (ref: string, { name, freeze, ...options }: CheckpointOptions) => {
    const sandbox = await (await connect(options, context)).get(ref);
    const taken = await sandbox.checkpoint({ freeze, ...(name !== undefined && { name }) });
    if (options.json) writeJson(context.stdout, taken);
    else context.stdout.write(`${taken.checkpoint.name ?? taken.checkpoint.id}\n`);
  });
}

export function defineTimeline(program: Command, context: CliContext): void {
  const command = program
    .command("timeline")
    .argument("<sandbox>", "id or name")
    .addOption(jsonOption("print the time line as JSON"));
  connectOptions(command).action(async (ref: string, options: ConnectOptions & { readonly json?: true }) => {
    const timeline = await (await (await connect(options, context)).get(ref)).timeline();
    if (options.json) writeJson(context.stdout, timeline);
    else context.stdout.write(timelineTable(timeline, context.now(), paintFor(context, context.stdout)));
  });
}
