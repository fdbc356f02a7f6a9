import type { Command } from "commander";
import { Option } from "commander";
import type { MergeView } from "../../client/index.ts";
import { masked } from "../../model/printable.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, repeated } from "../options.ts";
import { writeJson } from "../render/json.ts";

interface MergeOptions extends ConnectOptions {
  readonly path?: readonly string[];
  readonly dryRun?: true;
  readonly ours?: true;
  readonly theirs?: true;
  readonly json?: true;
}

export function defineMerge(program: Command, context: CliContext): void {
  const command = program
    .command("merge")
    .description(
      "Bring into a sandbox what another has changed since the two were one. Its commands are ended, and it starts again.",
    )
    .argument("<from>", "whose changes: a sandbox by id or name, or a checkpoint by id")
    .argument("<into>", "id or name")
    .addOption(repeated("--path <path>", "take this alone, with what is below; * and ** stand for names", String))
    .option("--dry-run", "only tell what would be done")
    .addOption(new Option("--ours", "where both changed the same, keep what <into> has").conflicts("theirs"))
    .option("--theirs", "where both changed the same, take what <from> has")
    .addOption(jsonOption("print what was done as JSON"));
  connectOptions(command).action(async (from: string, into: string, options: MergeOptions) => {
    const { path, dryRun, ours, theirs } = options;
    const merged = await (await (await connect(options, context)).get(into)).merge({
      from,
      ...(path !== undefined && { paths: [...path] }),
      ...(dryRun && { dryRun }),
      ...((ours || theirs) && { onConflict: ours ? "ours" : "theirs" }),
    });
    if (options.json) writeJson(context.stdout, merged);
    else context.stdout.write(changesText(merged));
    context.stderr.write(conflictsText(merged, [into, from]) + outcomeText(merged));
    if (merged.outcome === "conflicts") context.exitCode = 1;
  });
}

const LETTERS = { written: "W", removed: "D" } as const;

function changesText({ outcome, changes, changeCount }: MergeView): string {
  // What is not going to be done is no news.
  if (outcome === "conflicts") return "";
  const more = changeCount - changes.length;
  const lines = changes.map(({ kind, path }) => `${LETTERS[kind]} ${shown(path)}\n`);
  return lines.join("") + (more > 0 ? `and ${more} more\n` : "");
}

function conflictsText({ conflicts, conflictCount }: MergeView, [into, from]: readonly [string, string]): string {
  const more = conflictCount - conflicts.length;
  const lines = conflicts.map(
    ({ path, ours, theirs }) => `plybox: conflict at ${shown(path)}: ${into} ${ours} it, ${from} ${theirs} it\n`,
  );
  return lines.join("") + (more > 0 ? `plybox: and ${more} more conflicts\n` : "");
}

function outcomeText({ outcome, before, restarted }: MergeView): string {
  const said = {
    merged: `what it held is kept as ${before}`,
    planned: "nothing was done yet",
    conflicts: "nothing was merged; --ours or --theirs says whose side is taken",
    unchanged: "there is nothing to merge",
  }[outcome];
  return `${restarted ? "plybox: its commands were ended, and it was started again\n" : ""}plybox: ${said}\n`;
}

/** What others wrote must not move the cursor. */
const shown = (path: MergeView["changes"][number]["path"]): string =>
  masked(typeof path === "string" ? path : Buffer.from(path.base64, "base64").toString());
