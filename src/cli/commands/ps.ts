import type { Command } from "commander";
import type { ExecSummary, ListExecsOptions } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { formatAge } from "../render/age.ts";
import { commandLine } from "../render/command-line.ts";
import { writeJson } from "../render/json.ts";
import { paintFor } from "../render/style.ts";
import type { Cell } from "../render/table.ts";
import { renderTable } from "../render/table.ts";
import { parseCount } from "../values/numbers.ts";

interface PsOptions extends ConnectOptions {
  readonly running?: true;
  readonly last?: number;
  readonly json?: true;
}

/** A line of the table is for one line of a terminal. */
const COMMAND_CHARACTERS = 60;

export function definePs(program: Command, context: CliContext): void {
  const command = program
    .command("ps")
    .argument("<sandbox>", "id or name")
    .option("--running", "only commands that run")
    .addOption(parsed("--last <count>", "so many at most (default: 100)", parseCount))
    .addOption(jsonOption("print the commands as JSON, newest first"));
  connectOptions(command).action(async (ref: string, { running, last, ...options }: PsOptions) => {
    const plybox = await connect(options, context);
    const sandbox = await plybox.get(ref);
    const query: ListExecsOptions = { ...(running && { running }), ...(last !== undefined && { count: last }) };
    const execs = await sandbox.execs(query);
    if (options.json) writeJson(context.stdout, execs);
    else context.stdout.write(table(execs, context));
  });
}

function table(execs: readonly ExecSummary[], context: CliContext): string {
  const columns = [
    { title: "EXEC" },
    { title: "STATE" },
    { title: "STARTED" },
    { title: "BY" },
    { title: "COMMAND" },
  ] as const;
  const rows = execs.map((each): Cell[] => [
    each.exec,
    stateOf(each),
    `${formatAge(new Date(each.startedAt), context.now())} ago`,
    each.by,
    commandLine(each.command, COMMAND_CHARACTERS),
  ]);
  return renderTable(columns, rows, paintFor(context, context.stdout));
}

function stateOf({ running, seen, limit, signal, exitCode }: ExecSummary): Cell {
  if (running) return { text: "running", style: "green" };
  if (!seen) return "unseen";
  if (limit !== null) return `limit ${limit}`;
  return signal ?? `exit ${exitCode}`;
}
