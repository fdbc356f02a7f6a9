import type { Command } from "commander";
import type { CheckpointView } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { checkpointTable } from "../render/checkpoint.ts";
import { writeJson } from "../render/json.ts";
import { paintFor } from "../render/style.ts";

interface Options extends ConnectOptions {
  readonly json?: true;
}

interface PackOptions extends Options {
  readonly whole?: true;
}

export function defineCheckpoints(program: Command, context: CliContext): void {
  const checkpoints = program.command("checkpoints");
  const ls = checkpoints
    .command("ls")
    .summary("list all checkpoints, also of sandboxes that are gone")
    .addOption(jsonOption("print them as JSON"));
  connectOptions(ls).action(async (options: Options) => {
    const all = await (await connect(options, context)).checkpoints.list();
    if (options.json) writeJson(context.stdout, all);
    else context.stdout.write(checkpointTable(all, context.now(), paintFor(context, context.stdout)));
  });
  const pack = checkpoints
    .command("pack")
    .summary("pack checkpoints into files, which makes room in their pools")
    .argument("<checkpoint...>", "ids")
    .option("--whole", "with all of each in its file, so that it outlives the pool")
    .addOption(jsonOption("print them as JSON"));
  connectOptions(pack).action(async (ids: string[], { whole, ...options }: PackOptions) => {
    const plybox = await connect(options, context);
    const packed: CheckpointView[] = [];
    for (const id of new Set(ids)) {
      packed.push(await plybox.checkpoints.pack(id, { whole: whole ?? false }));
      if (!options.json) context.stdout.write(`${id}\n`);
    }
    if (options.json) writeJson(context.stdout, packed);
  });
  const rm = checkpoints
    .command("rm")
    .summary("remove checkpoints; what was made from them stays")
    .argument("<checkpoint...>", "ids")
    .addOption(jsonOption("print what was removed as JSON"));
  connectOptions(rm).action(async (ids: string[], options: Options) => {
    const plybox = await connect(options, context);
    for (const id of new Set(ids)) {
      await plybox.checkpoints.remove(id);
      if (!options.json) context.stdout.write(`${id}\n`);
    }
    if (options.json) writeJson(context.stdout, { removed: [...new Set(ids)] });
  });
}
