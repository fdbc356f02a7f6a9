import type { Command } from "commander";
import type { Plybox, Usage } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import { jsonLine } from "../../model/printable.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { Screen } from "../render/screen.ts";
import { paintFor } from "../render/style.ts";
import { usageTable } from "../render/usage.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { parseDuration } from "../values/duration.ts";

interface StatsOptions extends ConnectOptions {
  readonly watch?: true;
  readonly interval?: number;
  readonly json?: true;
}

/** Long enough for a figure of processor time, short enough to wait for. */
const ONCE_MS = 500;

export function defineStats(program: Command, context: CliContext): void {
  const command = program
    .command("stats")
    .argument("[sandbox...]", "ids or names; all that run by default")
    .option("-w, --watch", "go on until interrupted")
    .addOption(
      parsed("--interval <time>", "between two looks, such as 2s (default: 1s; 500ms without --watch)", parseDuration),
    )
    .addOption(jsonOption("print the usage as JSON; with --watch, one array a line"));
  connectOptions(command).action(async (refs: string[], options: StatsOptions) => {
    const plybox = await connect(options, context);
    const wanted = await wantedBy(plybox, refs);
    if (options.watch) await watch(plybox, wanted, options, context);
    else await showOnce(plybox, wanted, options, context);
  });
}

type Wanted = (usages: readonly Usage[]) => readonly Usage[];

/** Chooses the sandboxes that are named, all of which must be running. */
async function wantedBy(plybox: Plybox, refs: readonly string[]): Promise<Wanted> {
  if (refs.length === 0) return (usages) => usages;
  const named = await Promise.all(refs.map(async (ref) => ({ ref, id: (await plybox.get(ref)).id })));
  return (usages) =>
    named.map(({ ref, id }) => {
      const usage = usages.find(({ sandbox }) => sandbox === id);
      if (usage === undefined) throw new PlyboxError("sandbox/wrong-state", `${ref} does not run and uses nothing`);
      return usage;
    });
}

/** Two looks: how much processor time is used shows in their difference. */
async function showOnce(plybox: Plybox, wanted: Wanted, options: StatsOptions, context: CliContext): Promise<void> {
  const { stdout } = context;
  let looks = 0;
  for await (const usages of plybox.watchUsage({ intervalMs: options.interval ?? ONCE_MS })) {
    const chosen = wanted(usages);
    looks += 1;
    if (looks < 2) continue;
    if (options.json) writeJson(stdout, chosen);
    else stdout.write(usageTable(chosen, paintFor(context, stdout)));
    return;
  }
}

async function watch(plybox: Plybox, wanted: Wanted, options: StatsOptions, context: CliContext): Promise<void> {
  const { stdout } = context;
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) => abort.abort(signal));
  const onScreen = stdout.isTTY === true && !options.json;
  using screen = onScreen ? new Screen(stdout) : null;
  try {
    for await (const usages of plybox.watchUsage({ intervalMs: options.interval ?? 1000, signal: abort.signal })) {
      const chosen = wanted(usages);
      if (options.json) stdout.write(`${jsonLine(chosen)}\n`);
      else if (screen !== null) screen.draw(usageTable(chosen, paintFor(context, stdout)));
      else stdout.write(`${usageTable(chosen, paintFor(context, stdout))}\n`);
    }
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}
