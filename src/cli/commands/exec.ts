import type { Command } from "commander";
import { PlyboxError } from "../../model/errors.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import type { CommandOptions } from "../options.ts";
import { commandOptions, environmentOf, withoutSeparator } from "../options.ts";
import { attend } from "../stdio/attend.ts";
import { requireTerminal } from "../stdio/attend-terminal.ts";
import { daemonCommand } from "../stdio/daemon-command.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import type { TerminalOptions } from "../stdio/terminal-session.ts";
import { terminalOptions } from "../stdio/terminal-session.ts";
import { openTerminal } from "./shell.ts";

interface ExecOptions extends CommandOptions, ConnectOptions, TerminalOptions {
  readonly interactive?: true;
  readonly tty?: true;
}

export function defineExec(program: Command, context: CliContext): void {
  const command = program
    .command("exec")
    .usage("[options] sandbox -- command [argument...]")
    .argument("<sandbox>", "id or name")
    .argument("<command...>", "program and its arguments")
    .passThroughOptions()
    .option("-i, --interactive", "pass stdin on even where it is a terminal");
  terminalOptions(command);
  commandOptions(command, context.env);
  connectOptions(command).action(async (ref: string, words: string[]) => {
    const line = commandWords(command, words);
    const options = command.opts<ExecOptions>();
    if (options.tty === true) await execOnTerminal(ref, line, options, context);
    else await exec(ref, line, options, context);
  });
}

/** Options may also stand between the sandbox's name and the command. */
function commandWords(command: Command, words: readonly string[]): readonly string[] {
  if (words[0] === "--" || !words[0]?.startsWith("-")) return withoutSeparator(words);
  const { operands, unknown } = command.parseOptions([...words]);
  if (unknown.length > 0) {
    throw new PlyboxError("input/invalid", `unknown option '${unknown[0]}'; write -- before the command`);
  }
  if (operands.length === 0) throw new PlyboxError("input/invalid", "missing required argument 'command'");
  return operands;
}

async function execOnTerminal(
  ref: string,
  words: readonly string[],
  options: ExecOptions,
  context: CliContext,
): Promise<void> {
  if (options.json) throw new PlyboxError("input/invalid", "a terminal cannot be collected", { field: "--json" });
  requireTerminal(context);
  await openTerminal(ref, words, options, context);
}

async function exec(ref: string, words: readonly string[], options: ExecOptions, context: CliContext): Promise<void> {
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  const plybox = await connect(options, context);
  const input = options.interactive === true || context.stdin.isTTY !== true;
  try {
    const sandbox = await plybox.get(ref, { signal: abort.signal });
    const running = await sandbox.spawn(words, {
      ...environmentOf(options.env),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...(options.user !== undefined && { user: options.user }),
      ...(options.timeLimit !== undefined && { timeLimitMs: options.timeLimit }),
      ...(input && { stdin: true }),
      signal: abort.signal,
    });
    await attend(daemonCommand(running), {
      ...{ context, interrupts, input, json: options.json === true },
      ...{ timeLimitMs: options.timeLimit, memoryLimit: undefined },
    });
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}
