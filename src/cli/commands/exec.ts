import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { PlyboxError } from "../../model/errors.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { execRequestOf } from "../exec-request.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import type { CommandOptions } from "../options.ts";
import { commandOptions, parsed, within, withoutSeparator } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { attend } from "../stdio/attend.ts";
import { requireTerminal } from "../stdio/attend-terminal.ts";
import { daemonCommand } from "../stdio/daemon-command.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import type { TerminalOptions } from "../stdio/terminal-session.ts";
import { terminalOptions } from "../stdio/terminal-session.ts";
import { parseDuration } from "../values/duration.ts";
import { parseCount } from "../values/numbers.ts";
import { formatSize, parseSize } from "../values/size.ts";
import { openTerminal } from "./shell.ts";

interface ExecOptions extends CommandOptions, ConnectOptions, TerminalOptions {
  readonly interactive?: true;
  readonly tty?: true;
  readonly detach?: true;
  readonly key?: string;
  readonly cpuLimit?: number;
  readonly pidsLimit?: number;
  readonly memoryLimit?: number;
  readonly outputLimit?: number;
}

export function defineExec(program: Command, context: CliContext): void {
  const command = program
    .command("exec")
    .usage("[options] sandbox -- command [argument...]")
    .argument("<sandbox>", "id or name")
    .argument("<command...>", "program and its arguments")
    .passThroughOptions()
    .option("-i, --interactive", "pass stdin on even where it is a terminal")
    .option("-d, --detach", "print the command's id as soon as it runs, and go")
    .option("--key <key>", "idempotency key: a repetition of this call with it starts nothing anew");
  command
    .addOption(parsed("--cpu-limit <time>", "processor time after which it is ended, such as 5s", parseDuration))
    .addOption(parsed("--pids-limit <count>", "processes and threads at once", parseCount))
    .addOption(
      parsed(
        "--memory-limit <size>",
        "memory beyond which the kernel kills it, such as 64M",
        within("commandMemoryBytes", parseSize, formatSize),
      ),
    )
    .addOption(parsed("--output-limit <size>", "output after which it is ended, such as 10M", parseSize));
  terminalOptions(command);
  commandOptions(command, context.env);
  connectOptions(command).action(async (ref: string, words: string[]) => {
    const line = commandWords(command, words);
    const options = command.opts<ExecOptions>();
    if (options.detach === true) await detach(ref, line, options, context);
    else if (options.tty === true) await execOnTerminal(ref, line, options, context);
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
      ...requestOf(options),
      ...(input && { stdin: true }),
      signal: abort.signal,
    });
    await attend(daemonCommand(running), {
      ...{ context, interrupts, input, json: options.json === true },
      timeLimitMs: options.timeLimit,
      memoryLimit: options.memoryLimit === undefined ? undefined : formatSize(options.memoryLimit),
    });
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}

async function detach(ref: string, words: readonly string[], options: ExecOptions, context: CliContext): Promise<void> {
  if (options.tty === true || options.interactive === true) {
    throw new PlyboxError("input/invalid", "a detached command is fed by nobody; attach to it later", {
      field: "--detach",
    });
  }
  const plybox = await connect(options, context);
  const sandbox = await plybox.get(ref);
  const started = await sandbox.detach(words, requestOf(options));
  if (options.json) writeJson(context.stdout, started);
  else context.stdout.write(`${started.exec}\n`);
}

/** With a key in any case: the command is started once, whatever happens to the daemon meanwhile. */
const requestOf = (options: ExecOptions) => ({
  ...execRequestOf(options),
  idempotencyKey: options.key ?? randomUUID(),
});
