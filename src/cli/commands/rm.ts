import type { Command } from "commander";
import type { Plybox } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import { masked } from "../../model/printable.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { isCoded } from "../fail.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";

interface RmOptions extends ConnectOptions {
  readonly all?: true;
  readonly force?: true;
  readonly save: boolean;
  readonly json?: true;
}

/** What became of one sandbox that was to be removed. */
interface Removal {
  readonly sandbox: string;
  readonly removed: boolean;
  readonly error?: { readonly code: string; readonly message: string };
}

export function defineRm(program: Command, context: CliContext): void {
  const command = program
    .command("rm")
    .argument("[sandbox...]", "ids or names")
    .option("-a, --all", "remove every sandbox")
    .option("-f, --force", "do not mind one that does not exist")
    .option("--no-save", "do not send what they wrote to the object storage")
    .addOption(jsonOption("print what became of each as JSON"));
  connectOptions(command).action(async (refs: string[], options: RmOptions) => {
    if (options.all === true && refs.length > 0)
      throw new PlyboxError("input/invalid", "give sandboxes or --all, not both");
    if (options.all === undefined && refs.length === 0)
      throw new PlyboxError("input/invalid", "name a sandbox, or give --all");
    await rm(refs, options, context);
  });
}

/** Tries all of them; one that cannot be removed does not keep the others. */
async function rm(refs: readonly string[], options: RmOptions, context: CliContext): Promise<void> {
  const plybox = await connect(options, context);
  const wanted = options.all ? (await plybox.list()).map(({ id, name }) => name ?? id) : [...new Set(refs)];
  const removals = await Promise.all(wanted.map((ref) => remove(plybox, ref, options.save)));
  const mind = removals.filter(({ error }) => !(options.force && error?.code === "sandbox/not-found"));
  if (mind.some(({ error }) => error !== undefined)) context.exitCode = 125;
  if (options.json) return writeJson(context.stdout, removals);
  for (const { sandbox, removed, error } of mind) {
    if (removed) context.stdout.write(`${sandbox}\n`);
    else if (error !== undefined)
      context.stderr.write(`plybox: ${sandbox}: ${masked(error.message)} (${error.code})\n`);
  }
}

async function remove(plybox: Plybox, ref: string, save: boolean): Promise<Removal> {
  try {
    const sandbox = await plybox.get(ref);
    await sandbox.remove(save ? {} : { save });
    return { sandbox: ref, removed: true };
  } catch (error) {
    if (!isCoded(error) || error.code === "daemon/unreachable") throw error;
    return { sandbox: ref, removed: false, error: { code: error.code, message: error.message } };
  }
}
