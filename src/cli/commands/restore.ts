import type { Command } from "commander";
import type { RestoredView, Sandbox } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { parseCount } from "../values/numbers.ts";

interface RestoreOptions extends ConnectOptions {
  readonly json?: true;
}

export function defineRestore(program: Command, context: CliContext): void {
  const command = program
    .command("restore")
    .description("Put a sandbox back to a checkpoint. Its commands are ended, and it starts again.")
    .argument("<sandbox>", "id or name")
    .argument("<checkpoint>", "id, or name of one that the sandbox can go back to")
    .addOption(jsonOption("print what was done as JSON"));
  connectOptions(command).action(async (ref: string, point: string, options: RestoreOptions) => {
    await restore(ref, options, context, (sandbox) => sandbox.restore(point));
  });
}

export function defineUndo(program: Command, context: CliContext): void {
  const command = program
    .command("undo")
    .description("Put a sandbox back to the checkpoint before. Its commands are ended, and it starts again.")
    .argument("<sandbox>", "id or name")
    .addOption(parsed("--steps <count>", "how many checkpoints to go back (default: 1)", parseCount))
    .addOption(jsonOption("print what was done as JSON"));
  connectOptions(command).action(async (ref: string, options: RestoreOptions & { readonly steps?: number }) => {
    const { steps } = options;
    await restore(ref, options, context, (sandbox) => sandbox.undo(steps === undefined ? {} : { steps }));
  });
}

async function restore(
  ref: string,
  options: RestoreOptions,
  context: CliContext,
  work: (sandbox: Sandbox) => Promise<RestoredView>,
): Promise<void> {
  const restored = await work(await (await connect(options, context)).get(ref));
  if (options.json) return writeJson(context.stdout, restored);
  context.stdout.write(`${restored.checkpoint.name ?? restored.checkpoint.id}\n`);
  if (restored.restarted) context.stderr.write("plybox: its commands were ended, and it was started again\n");
  if (restored.before !== null) context.stderr.write(`plybox: what it held is kept as ${restored.before}\n`);
}
