import type { Command } from "commander";
import { PlyboxError } from "../../model/errors.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import type { ExecRequestOptions } from "../exec-request.ts";
import { execRequestOf } from "../exec-request.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import { environmentOf, variablesOption, withoutSeparator } from "../options.ts";
import { requireTerminal, sizeOf, terminalEnvironment } from "../stdio/attend-terminal.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { daemonTerminal } from "../stdio/terminal-command.ts";
import type { TerminalOptions } from "../stdio/terminal-session.ts";
import { detachKeysOption, holdTerminal } from "../stdio/terminal-session.ts";

interface ShellOptions extends ConnectOptions, TerminalOptions {
  readonly env?: readonly (readonly [name: string, value: string])[];
  readonly cwd?: string;
  readonly user?: string;
}

export function defineShell(program: Command, context: CliContext): void {
  const command = program
    .command("shell")
    .usage("[options] sandbox [-- command [argument...]]")
    .argument("<sandbox>", "id or name")
    .argument("[command...]", "what to run instead of the user's shell")
    .addOption(variablesOption(context.env))
    .option("--cwd <path>", "absolute working directory inside")
    .option("--user <user>", "name, uid, name:group or uid:gid inside (default: root)")
    .addOption(detachKeysOption());
  connectOptions(command).action(async (ref: string, words: string[], options: ShellOptions) => {
    requireTerminal(context);
    await openTerminal(ref, withoutSeparator(words), options, context);
  });
}

/** Runs a command, the user's shell where there is none, on our terminal in a sandbox of a daemon. */
export async function openTerminal(
  ref: string,
  words: readonly string[],
  options: ExecRequestOptions & ConnectOptions & TerminalOptions & { readonly key?: string },
  context: CliContext,
): Promise<void> {
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  const { detachKeys } = options;
  const plybox = await connect(options, context);
  try {
    const sandbox = await plybox.get(ref, { signal: abort.signal });
    const terminal = await sandbox.terminal({
      ...sizeOf(context.stdout),
      ...(words.length > 0 && { command: words }),
      ...execRequestOf(options),
      env: { ...terminalEnvironment(context), ...environmentOf(options.env).env },
      ...(options.key !== undefined && { idempotencyKey: options.key }),
    });
    const comeBack = `come back with: plybox attach -t ${sandbox.name ?? sandbox.id} ${terminal.exec}`;
    await holdTerminal(daemonTerminal(terminal), { context, interrupts, comeBack, ...(detachKeys && { detachKeys }) });
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}
