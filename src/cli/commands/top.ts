import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import type { Plybox, Processes, Sandbox } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { parsed } from "../options.ts";
import { Screen } from "../render/screen.ts";
import type { Paint } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import type { ProcessLine } from "../render/usage.ts";
import { processTable, usageTable } from "../render/usage.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { Keys } from "../stdio/keys.ts";
import { parseDuration } from "../values/duration.ts";

interface TopOptions extends ConnectOptions {
  readonly interval?: number;
}

const CTRL_C = "\u0003";
/** Where nobody can look twice, the two looks that processor time needs are made close together. */
const ONCE_MS = 500;

export function defineTop(program: Command, context: CliContext): void {
  const command = program
    .command("top")
    .argument("[sandbox]", "id or name, to see its processes; all sandboxes by default")
    .addOption(parsed("--interval <time>", "between two looks, such as 2s (default: 1s)", parseDuration));
  connectOptions(command).action(async (ref: string | undefined, options: TopOptions) => {
    const plybox = await connect(options, context);
    const sandbox = ref === undefined ? undefined : await plybox.get(ref);
    const isInteractive = context.stdout.isTTY === true && context.stdin.isTTY === true;
    const intervalMs = options.interval ?? (isInteractive ? 1000 : ONCE_MS);
    const paint = paintFor(context, context.stdout);
    const looks = (signal: AbortSignal) =>
      sandbox === undefined
        ? sandboxTables(plybox, intervalMs, paint, signal)
        : processTables(sandbox, intervalMs, paint, signal);
    await (isInteractive ? show(looks, context) : printSecond(looks, context));
  });
}

type Looks = (signal: AbortSignal) => AsyncIterable<string>;

/** Draws until `q`, Ctrl-C or a signal; the terminal is as it was then. */
async function show(looks: Looks, context: CliContext): Promise<void> {
  const quit = new AbortController();
  using _interrupts = new Interrupts(context.interrupts, () => quit.abort());
  using screen = new Screen(context.stdout);
  using _keys = new Keys(context.stdin, (keys) => {
    if (keys.includes("q") || keys.includes(CTRL_C)) quit.abort();
  });
  try {
    for await (const table of looks(quit.signal)) screen.draw(`${table}\nq quits\n`);
  } catch (error) {
    if (!quit.signal.aborted) throw error;
  }
}

async function printSecond(looks: Looks, { stdout }: CliContext): Promise<void> {
  const enough = new AbortController();
  let count = 0;
  for await (const table of looks(enough.signal)) {
    count += 1;
    if (count < 2) continue;
    stdout.write(table);
    break;
  }
}

async function* sandboxTables(
  plybox: Plybox,
  intervalMs: number,
  paint: Paint,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for await (const usages of plybox.watchUsage({ intervalMs, signal })) {
    yield usageTable(
      usages.toSorted((a, b) => (b.cores ?? 0) - (a.cores ?? 0)),
      paint,
    );
  }
}

async function* processTables(
  sandbox: Sandbox,
  intervalMs: number,
  paint: Paint,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let before: Look | undefined;
  while (!signal.aborted) {
    const now: Look = { atMs: performance.now(), processes: (await sandbox.processes({ signal })).processes };
    const lines = processLines(now, before).toSorted((a, b) => (b.cores ?? 0) - (a.cores ?? 0) || b.cpuMs - a.cpuMs);
    yield processTable(lines, paint);
    before = now;
    await setTimeout(intervalMs, undefined, { signal });
  }
}

interface Look {
  readonly atMs: number;
  readonly processes: Processes["processes"];
}

/** What each process used since the look before; one that is new there has used all its time since. */
export function processLines(now: Look, before: Look | undefined): readonly ProcessLine[] {
  if (before === undefined) return now.processes.map((process) => ({ ...process, cores: null }));
  const known = new Map(before.processes.map(({ pid, cpuMs }) => [pid, cpuMs]));
  const wallMs = Math.max(1, now.atMs - before.atMs);
  return now.processes.map((process) => {
    const usedMs = process.cpuMs - (known.get(process.pid) ?? 0);
    // Less than before: another process has the pid now.
    return { ...process, cores: (usedMs < 0 ? process.cpuMs : usedMs) / wallMs };
  });
}
