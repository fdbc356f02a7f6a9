import type { Command } from "commander";
import type { Forks, Plybox, Sandbox } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { parseCount } from "../values/numbers.ts";

interface ForkOptions extends ConnectOptions {
  readonly count?: number;
  readonly name?: string;
  readonly from?: string;
  readonly freeze: boolean;
  readonly json?: true;
}

export function defineFork(program: Command, context: CliContext): void {
  const command = program
    .command("fork")
    .argument("<sandbox>", "id or name; or the id of a checkpoint, whose sandbox may be gone")
    .addOption(parsed("--count <count>", "how many (default: 1)", parseCount))
    .option("--name <name>", "of the one; several are called name-1, name-2…")
    .option("--from <checkpoint>", "id or name of a checkpoint (default: what it holds now)")
    .option("--no-freeze", "let commands go on while the checkpoint is made")
    .addOption(jsonOption("print the forks as JSON"));
  connectOptions(command).action(async (ref: string, options: ForkOptions) => {
    const { sandboxes, ...made } = await fork(await connect(options, context), ref, options);
    if (options.json) writeJson(context.stdout, { ...made, sandboxes: sandboxes.map(({ view }) => view) });
    else for (const { name, id } of sandboxes) context.stdout.write(`${name ?? id}\n`);
  });
}

async function fork(plybox: Plybox, ref: string, options: ForkOptions): Promise<Forks<Sandbox>> {
  const { count, name, from, freeze } = options;
  const wish = { ...(count !== undefined && { count }), ...(name !== undefined && { name }) };
  if (ref.startsWith("cp_")) return await plybox.checkpoints.fork(ref, wish);
  const sandbox = await plybox.get(ref);
  return await sandbox.fork({ ...wish, freeze, ...(from !== undefined && { from }) });
}
