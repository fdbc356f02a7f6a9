import type { Command } from "commander";
import type { ExecSummary, Command as Followed, Sandbox } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { OutputSink } from "../stdio/output-sink.ts";

interface LogsOptions extends ConnectOptions {
  readonly follow?: true;
  readonly stdout?: true;
  readonly stderr?: true;
}

export function defineLogs(program: Command, context: CliContext): void {
  const command = program
    .command("logs")
    .description("Show what a command wrote, as far as it is kept; of the newest one where none is named.")
    .argument("<sandbox>", "id or name")
    .argument("[exec]", "id of the command")
    .option("-f, --follow", "go on with what it writes, until it ends")
    .option("--stdout", "only what it wrote to stdout")
    .option("--stderr", "only what it wrote to stderr");
  connectOptions(command).action(async (ref: string, exec: string | undefined, options: LogsOptions) => {
    const abort = new AbortController();
    using interrupts = new Interrupts(context.interrupts, (signal) => abort.abort(signal));
    const plybox = await connect(options, context);
    const { signal } = abort;
    try {
      const sandbox = await plybox.get(ref, { signal });
      const found = await find(sandbox, exec, signal);
      await using followed = await sandbox.attach(found.exec, {}, { signal });
      await show(followed, found, options, context);
    } catch (error) {
      if (!signal.aborted || interrupts.last === undefined) throw error;
      context.exitCode = exitCodeOfSignal(interrupts.last);
    }
  });
}

async function find(sandbox: Sandbox, exec: string | undefined, signal: AbortSignal): Promise<ExecSummary> {
  if (exec !== undefined) return await sandbox.inspectExec(exec, { signal });
  const [newest] = await sandbox.execs({ count: 1, signal });
  if (newest === undefined) throw new PlyboxError("exec/not-found", "no command has been run in this sandbox");
  return newest;
}

/** Each stream to our own of the same name. Without `follow` only what has been written by now. */
async function show(command: Followed, found: ExecSummary, options: LogsOptions, context: CliContext): Promise<void> {
  const { follow, stdout, stderr } = options;
  const isAsked = { stdout: stdout === true || stderr !== true, stderr: stderr === true || stdout !== true };
  const ends = { stdout: found.stdoutBytes ?? 0, stderr: found.stderrBytes ?? 0 };
  const broken = (): void => command.close();
  const sinks = { stdout: new OutputSink(context.stdout, broken), stderr: new OutputSink(context.stderr, broken) };
  const isDone = (): boolean =>
    follow !== true && found.running && command.offsets.stdout >= ends.stdout && command.offsets.stderr >= ends.stderr;
  try {
    if (isDone()) return;
    for await (const event of command) {
      if (event.kind === "output" && isAsked[event.stream]) await sinks[event.stream].write(event.bytes);
      else if (event.kind === "lost" && isAsked[event.stream]) {
        context.stderr.write(`plybox: ${event.to - event.from} bytes of ${event.stream} are lost\n`);
      }
      if (isDone()) return;
    }
  } finally {
    for (const sink of Object.values(sinks)) {
      await sink.flush();
      sink.release();
    }
  }
}
