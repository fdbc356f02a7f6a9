import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import type { CliContext } from "../../src/cli/context.ts";
import { failureOf } from "../../src/cli/fail.ts";
import { runProgram } from "../../src/cli/program.ts";

/** What one command line did. */
export interface CliOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliSetting {
  readonly env?: NodeJS.ProcessEnv;
  readonly stdin?: string;
  readonly cwd?: string;
  readonly now?: Date;
  /** Whether the output streams are terminals. */
  readonly isTerminal?: boolean;
  /** Sends interrupts to the command. */
  readonly interrupts?: EventEmitter;
  /** Told of output as it comes. */
  readonly onStdout?: (text: string) => void;
}

/** Runs a command line in this process: all but what main does with the process itself. */
export async function runCli(args: readonly string[], setting: CliSetting = {}): Promise<CliOutcome> {
  const [stdout, stderr] = [recorder(setting.onStdout), recorder()];
  const stdin = new PassThrough();
  stdin.end(setting.stdin ?? "");
  const isTTY = setting.isTerminal === true;
  const context: CliContext = {
    env: setting.env ?? {},
    cwd: () => setting.cwd ?? "/",
    now: () => setting.now ?? new Date(),
    stdin,
    stdout: Object.assign(stdout.stream, { isTTY }),
    stderr: Object.assign(stderr.stream, { isTTY }),
    interrupts: setting.interrupts ?? new EventEmitter(),
    exitCode: 0,
  };
  try {
    await runProgram(args, context);
  } catch (error) {
    const { line, exitCode } = failureOf(error);
    if (line !== "") stderr.stream.write(`${line}\n`);
    context.exitCode = exitCode;
  }
  return { exitCode: context.exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

function recorder(onText?: (text: string) => void): { readonly stream: PassThrough; readonly text: () => string } {
  const pieces: Buffer[] = [];
  const stream = new PassThrough();
  stream.on("data", (piece: Buffer) => {
    pieces.push(piece);
    onText?.(piece.toString());
  });
  return { stream, text: () => Buffer.concat(pieces).toString() };
}
