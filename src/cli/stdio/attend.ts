import type { OutputStream } from "../../model/exec.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOf, limitNote, limitsMetNote } from "../exit-code.ts";
import { writeJson } from "../render/json.ts";
import { formatDuration } from "../values/duration.ts";
import { Collector } from "./collector.ts";
import type { Interrupts } from "./interrupts.ts";
import { OutputSink } from "./output-sink.ts";
import { breakPipe, relay } from "./relay.ts";
import type { ExitReport, RelayedCommand } from "./relayed-command.ts";

export interface AttendOptions {
  readonly context: CliContext;
  readonly interrupts: Interrupts;
  /** Whether our stdin is the command's. */
  readonly input: boolean;
  /** Whether the output is collected and printed as JSON. */
  readonly json: boolean;
  /** The limits as the user gave them, to name them when one ends the command. */
  readonly timeLimitMs: number | undefined;
  readonly memoryLimit: string | undefined;
}

/** Stays with a command until it ends; sets what we exit with and tells of the limit that ended it. */
export async function attend(command: RelayedCommand, options: AttendOptions): Promise<void> {
  const { context, json, timeLimitMs, memoryLimit } = options;
  const report = json ? await collect(command, options) : await stream(command, options);
  context.exitCode = exitCodeOf(report);
  context.stderr.write(limitsMetNote(report));
  const { limit } = report;
  if (limit === null) return;
  const time = timeLimitMs === undefined ? undefined : formatDuration(timeLimitMs);
  context.stderr.write(limitNote(limit, limit === "wall" ? time : limit === "memory" ? memoryLimit : undefined));
}

async function stream(command: RelayedCommand, { context, input, interrupts }: AttendOptions): Promise<ExitReport> {
  const pipes: Disposable[] = [];
  const broken = (): void => void pipes.push(breakPipe(command));
  const sinks = { stdout: new OutputSink(context.stdout, broken), stderr: new OutputSink(context.stderr, broken) };
  const onLost = (stream: OutputStream, bytes: number): void =>
    void context.stderr.write(`plybox: ${bytes} bytes of ${stream} are lost\n`);
  try {
    const report = await relay({ command, sinks, interrupts, onLost, ...(input && { stdin: context.stdin }) });
    await Promise.all([sinks.stdout.flush(), sinks.stderr.flush()]);
    return report;
  } finally {
    for (const pipe of pipes) pipe[Symbol.dispose]();
    sinks.stdout.release();
    sinks.stderr.release();
  }
}

async function collect(command: RelayedCommand, { context, input, interrupts }: AttendOptions): Promise<ExitReport> {
  const collector = new Collector();
  const { sinks, lose: onLost } = collector;
  const report = await relay({ command, sinks, interrupts, onLost, ...(input && { stdin: context.stdin }) });
  writeJson(context.stdout, collector.result(report));
  return report;
}
