import type { Command } from "commander";
import type { CommandEvent, ExecSummary, Sandbox } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import { parsed } from "../options.ts";
import { commandLine } from "../render/command-line.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { LogWriter } from "../stdio/log-writer.ts";
import { parseMoment } from "../values/moment.ts";
import { parseCount } from "../values/numbers.ts";

interface LogsOptions extends ConnectOptions {
  readonly follow?: true;
  readonly since?: Date;
  readonly tail?: number;
  readonly stdout?: true;
  readonly stderr?: true;
}

/** Of a heading. */
const COMMAND_CHARACTERS = 60;
const PAGE = 1000;

export function defineLogs(program: Command, context: CliContext): void {
  const command = program
    .command("logs")
    .description("Show what a command wrote, as far as it is kept; of the newest one where none is named.")
    .argument("<sandbox>", "id or name")
    .argument("[exec]", "id of the command")
    .option("-f, --follow", "go on with what it writes, until it ends")
    .addOption(
      parsed("--since <time>", "all commands that were started then or later: 10m ago, or a time", (text) =>
        parseMoment(text, context.now()),
      ),
    )
    .addOption(parsed("-n, --tail <lines>", "only the last lines of each stream", parseCount))
    .option("--stdout", "only what it wrote to stdout")
    .option("--stderr", "only what it wrote to stderr");
  connectOptions(command).action(async (ref: string, exec: string | undefined, options: LogsOptions) => {
    if (exec !== undefined && options.since !== undefined) {
      throw new PlyboxError("input/invalid", "one command is named, whenever it was started", { field: "--since" });
    }
    const abort = new AbortController();
    using interrupts = new Interrupts(context.interrupts, (signal) => abort.abort(signal));
    const plybox = await connect(options, context);
    const { signal } = abort;
    try {
      const sandbox = await plybox.get(ref, { signal });
      await showAll(sandbox, await find(sandbox, exec, { ...options, signal }), { ...options, context, signal });
    } catch (error) {
      if (!signal.aborted || interrupts.last === undefined) throw error;
      context.exitCode = exitCodeOfSignal(interrupts.last);
    }
  });
}

/** What is to be shown, oldest first. */
async function find(
  sandbox: Sandbox,
  exec: string | undefined,
  { since, signal }: Pick<LogsOptions, "since"> & { readonly signal: AbortSignal },
): Promise<readonly ExecSummary[]> {
  if (exec !== undefined) return [await sandbox.inspectExec(exec, { signal })];
  if (since === undefined) {
    const newest = await sandbox.execs({ count: 1, signal });
    if (newest.length > 0) return newest;
    throw new PlyboxError("exec/not-found", "no command has been run in this sandbox");
  }
  const found: ExecSummary[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page = await sandbox.execPage({ since, count: PAGE, signal, ...(after !== undefined && { after }) });
    found.push(...page.execs);
    after = page.next;
  }
  return found.reverse();
}

interface ShowOptions extends LogsOptions {
  readonly context: CliContext;
  readonly signal: AbortSignal;
}

async function showAll(sandbox: Sandbox, found: readonly ExecSummary[], options: ShowOptions): Promise<void> {
  const { context, since, follow, signal } = options;
  const broken = new AbortController();
  const stop = (): void => broken.abort();
  for (const [index, each] of found.entries()) {
    if (broken.signal.aborted) return;
    if (since !== undefined) {
      context.stderr.write(`==> ${each.exec} ${commandLine(each.command, COMMAND_CHARACTERS)} <==\n`);
    }
    // What nobody saw the end of has gone with what ran it.
    if (since !== undefined && !each.seen) continue;
    // Of several the newest goes on.
    if (follow === true && index === found.length - 1) {
      await using followed = await sandbox.attach(each.exec, {}, { signal, shared: true });
      broken.signal.addEventListener("abort", () => followed.close(), { once: true });
      await show(followed, { ...options, past: each, stop });
    } else {
      const events = sandbox.readOutput(each.exec, { signal: AbortSignal.any([signal, broken.signal]) });
      // Nobody reads on: that is no failure of ours.
      await show(events, { ...options, past: undefined, stop }).catch((error: unknown) => {
        if (!broken.signal.aborted) throw error;
      });
    }
  }
}

interface StreamsOptions extends ShowOptions {
  /** Where the streams stood, of a command that is followed from there on; all is past otherwise. */
  readonly past: Pick<ExecSummary, "stdoutBytes" | "stderrBytes"> | undefined;
  /** Called when nobody reads a stream of ours any more. */
  readonly stop: () => void;
}

/** Each stream to our own of the same name. */
async function show(
  events: AsyncIterable<CommandEvent>,
  { stdout, stderr, tail, context, past, stop }: StreamsOptions,
): Promise<void> {
  const isAsked = { stdout: stdout === true || stderr !== true, stderr: stderr === true || stdout !== true };
  const writer = (stream: "stdout" | "stderr"): LogWriter => {
    const written = past === undefined ? Number.POSITIVE_INFINITY : (past[`${stream}Bytes`] ?? 0);
    return new LogWriter(context[stream], { tail, past: written, onBroken: stop });
  };
  const writers = { stdout: writer("stdout"), stderr: writer("stderr") };
  try {
    for await (const event of events) {
      if (event.kind === "exit" || !isAsked[event.stream]) continue;
      if (event.kind === "output") await writers[event.stream].take(event.bytes, event.offset);
      else if (event.kind === "lost") {
        context.stderr.write(`plybox: ${event.to - event.from} bytes of ${event.stream} are lost\n`);
      }
    }
  } finally {
    for (const each of Object.values(writers)) await each.end();
  }
}
