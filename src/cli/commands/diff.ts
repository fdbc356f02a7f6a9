import type { Command } from "commander";
import type { DiffView } from "../../client/index.ts";
import { masked } from "../../model/printable.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { parseCount } from "../values/numbers.ts";

interface Options extends ConnectOptions {
  readonly text?: true;
  readonly limit?: number;
  readonly json?: true;
}

export function defineDiff(program: Command, context: CliContext): void {
  const command = program
    .command("diff")
    .argument("<sandbox>", "id or name")
    .argument("<from>", "a checkpoint: id, or name of one that the sandbox can go back to")
    .argument("[to]", "another (default: what it holds now)")
    .option("--text", "show what changed in files line by line")
    .addOption(parsed("--limit <count>", "how many changes at most (default: 1000)", parseCount))
    .addOption(jsonOption("print the changes as JSON"));
  connectOptions(command).action(async (ref: string, from: string, to: string | undefined, options: Options) => {
    const { text, limit } = options;
    const sandbox = await (await connect(options, context)).get(ref);
    const wish = { ...(to !== undefined && { to }), ...(text && { text }), ...(limit !== undefined && { limit }) };
    const found = await sandbox.diff(from, wish);
    if (options.json) writeJson(context.stdout, found);
    else for (const change of found.changes) context.stdout.write(linesOf(change));
    if (found.more) context.stderr.write("plybox: there are more changes\n");
  });
}

const LETTERS = { added: "A", removed: "D", changed: "M", "type-changed": "T" } as const;

function linesOf({ kind, path, aspects, text }: DiffView["changes"][number]): string {
  const shown = typeof path === "string" ? path : Buffer.from(path.base64, "base64").toString();
  const what = aspects.length === 0 ? "" : `  (${aspects.join(", ")})`;
  const lines = text?.kind === "text" ? text.unified.split("\n").slice(0, -1) : [];
  // What others wrote must not move the cursor.
  return [`${LETTERS[kind]} ${masked(shown)}${what}`, ...lines.map((line) => masked(line)), ""].join("\n");
}
