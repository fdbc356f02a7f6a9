import type { Command } from "commander";
import type { Sandbox } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import { jsonOption } from "../options.ts";
import { attend } from "../stdio/attend.ts";
import { requireTerminal, sizeOf } from "../stdio/attend-terminal.ts";
import { daemonCommand } from "../stdio/daemon-command.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { daemonTerminal } from "../stdio/terminal-command.ts";
import type { TerminalOptions } from "../stdio/terminal-session.ts";
import { holdTerminal, terminalOptions } from "../stdio/terminal-session.ts";

interface AttachOptions extends ConnectOptions, TerminalOptions {
  readonly interactive?: true;
  readonly tty?: true;
  readonly json?: true;
}

/** What is shown again of a terminal's past: some screens, so that one sees where one is. */
const SHOWN_AGAIN_BYTES = 16 * 1024;

export function defineAttach(program: Command, context: CliContext): void {
  const command = program
    .command("attach")
    .description("Listen again to a command, in place of whoever listens now: to all that is kept of its output.")
    .argument("<sandbox>", "id or name")
    .argument("<exec>", "id of the command")
    .option("-i, --interactive", "pass our stdin on to it");
  terminalOptions(command).addOption(jsonOption("collect the output and print it with the exit report as JSON"));
  connectOptions(command).action(async (ref: string, exec: string, options: AttachOptions) => {
    if (options.tty === true) requireTerminal(context);
    if (options.tty === true && options.json) {
      throw new PlyboxError("input/invalid", "a terminal cannot be collected", { field: "--json" });
    }
    await attach(ref, exec, options, context);
  });
}

async function attach(ref: string, exec: string, options: AttachOptions, context: CliContext): Promise<void> {
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  const plybox = await connect(options, context);
  try {
    const sandbox = await plybox.get(ref, { signal: abort.signal });
    if (options.tty === true) await attachTerminal(sandbox, exec, { context, interrupts, ...options });
    else {
      await attend(daemonCommand(await sandbox.attach(exec, {}, { signal: abort.signal })), {
        ...{ context, interrupts, input: options.interactive === true, json: options.json === true },
        ...{ timeLimitMs: undefined, memoryLimit: undefined },
      });
    }
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}

async function attachTerminal(
  sandbox: Sandbox,
  exec: string,
  options: TerminalOptions & { readonly context: CliContext; readonly interrupts: Interrupts },
): Promise<void> {
  const shown = (await sandbox.execs()).find((each) => each.exec === exec)?.stdoutBytes ?? 0;
  const terminal = await sandbox.attachTerminal(exec, Math.max(0, shown - SHOWN_AGAIN_BYTES));
  // Also makes a program that fills the screen draw it anew.
  await terminal.resize(sizeOf(options.context.stdout)).catch(() => {});
  const comeBack = `come back with: plybox attach -t ${sandbox.name ?? sandbox.id} ${exec}`;
  await holdTerminal(daemonTerminal(terminal), { ...options, comeBack });
}
