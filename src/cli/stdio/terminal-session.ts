import type { Command } from "commander";
import { Option } from "commander";
import type { CliContext } from "../context.ts";
import { exitCodeOf, exitCodeOfSignal, limitNote, limitsMetNote } from "../exit-code.ts";
import { parsed } from "../options.ts";
import { parseDetachKeys } from "../values/detach-keys.ts";
import { attendTerminal } from "./attend-terminal.ts";
import type { Interrupts } from "./interrupts.ts";
import type { TerminalCommand } from "./terminal-command.ts";

export interface TerminalOptions {
  readonly detachKeys?: Uint8Array;
}

const DETACH_KEYS = "ctrl-p,ctrl-q";

const ttyOption = (): Option => new Option("-t, --tty", "run it on a terminal, which is ours");

export const detachKeysOption = (): Option =>
  parsed("--detach-keys <keys>", `keys that leave it running (default: ${DETACH_KEYS})`, parseDetachKeys);

/** Both, for a command that may or may not have a terminal. */
export const terminalOptions = (command: Command): Command =>
  command.addOption(ttyOption()).addOption(detachKeysOption());

export interface SessionOptions extends TerminalOptions {
  readonly context: CliContext;
  readonly interrupts: Interrupts;
  /** How one comes back to it after it was left; undefined where it does not outlive us. */
  readonly comeBack: string | undefined;
}

/** Stays with a command on our terminal until it ends or is left; sets what we exit with. */
export async function holdTerminal(command: TerminalCommand, options: SessionOptions): Promise<void> {
  const { context, interrupts, comeBack, detachKeys = parseDetachKeys(DETACH_KEYS) } = options;
  const end = await attendTerminal(command, { context, interrupts, detachKeys });
  switch (end.kind) {
    case "exited":
      context.exitCode = exitCodeOf(end.report);
      context.stderr.write(limitsMetNote(end.report));
      if (end.report.limit !== null) context.stderr.write(limitNote(end.report.limit, undefined));
      break;
    case "detached":
      if (comeBack !== undefined) context.stderr.write(`\nit goes on; ${comeBack}\n`);
      break;
    case "interrupted":
      context.exitCode = exitCodeOfSignal(interrupts.last ?? "SIGHUP");
  }
}
