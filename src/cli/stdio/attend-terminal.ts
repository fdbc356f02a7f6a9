import { setTimeout as delay } from "node:timers/promises";
import { PlyboxError } from "../../model/errors.ts";
import type { TerminalSize } from "../../model/exec.ts";
import type { CliContext, Output } from "../context.ts";
import { KeySequence } from "../values/detach-keys.ts";
import type { Interrupts } from "./interrupts.ts";
import { Keys } from "./keys.ts";
import { OutputSink } from "./output-sink.ts";
import type { ExitReport } from "./relayed-command.ts";
import type { TerminalCommand } from "./terminal-command.ts";

export interface AttendTerminalOptions {
  readonly context: CliContext;
  readonly interrupts: Interrupts;
  /** Keys that leave the command behind. */
  readonly detachKeys: Uint8Array;
}

/** How it came to an end: with the command, or by leaving it behind, with the keys or for an interrupt. */
export type TerminalEnd =
  | { readonly kind: "exited"; readonly report: ExitReport }
  | { readonly kind: "detached" }
  | { readonly kind: "interrupted" };

/** How long keys that were typed before the detach keys have to be taken. */
const TAKEN_WITHIN_MS = 1000;

/** What a program that still runs may have set: the other screen, a hidden cursor, reports of the mouse and of pastes. */
const AS_IT_WAS = "\u001b[?1049l\u001b[?25h\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1006l\u001b[?2004l\u001b[0m";

/** Of these every system has a description; a terminal of another name is taken for an xterm. */
const KNOWN_TERMINALS = new RegExp(
  "^(?:xterm(?:-(?:256color|color|mono|vt220|xfree86))?|screen(?:-(?:256color|bce))?|tmux(?:-256color)?|" +
    "rxvt(?:-unicode(?:-256color)?)?|linux|vt(?:52|100|102|220)|ansi|dumb)$",
);

/**
 * Both of our ends are the same terminal.
 * @throws PlyboxError `input/invalid` where they are none
 */
export function requireTerminal({ stdin, stdout }: CliContext): void {
  if (stdin.isTTY === true && stdout.isTTY === true) return;
  const end = stdin.isTTY === true ? "output" : "input";
  throw new PlyboxError("input/invalid", `our ${end} is not a terminal; leave -t away`, { field: "--tty" });
}

export const sizeOf = ({ columns, rows }: Output): TerminalSize => ({ columns: columns || 80, rows: rows || 24 });

/** What the command is told of our terminal. */
export function terminalEnvironment({ env }: CliContext): Readonly<Record<string, string>> {
  const { TERM = "", COLORTERM } = env;
  return {
    ...(KNOWN_TERMINALS.test(TERM) && { TERM }),
    ...(COLORTERM && { COLORTERM }),
  };
}

/** Joins a command's terminal with ours until it ends or is left behind. Ours is afterwards as it was before. */
export async function attendTerminal(command: TerminalCommand, options: AttendTerminalOptions): Promise<TerminalEnd> {
  const { context, interrupts, detachKeys } = options;
  const { stdout } = context;
  let left: TerminalEnd | undefined;
  let typed = Promise.resolve();
  let leaving = false;
  const leave = (kind: "detached" | "interrupted"): void => {
    left ??= { kind };
    command.close();
  };
  interrupts.handTo((signal) => {
    // Ctrl-C comes as a key; these were sent by somebody else. A terminal that is gone ends us, not the command.
    if (signal === "SIGTERM" || signal === "SIGHUP") leave("interrupted");
    else void command.signal(signal, "group").catch(ignore);
  });
  const sequence = new KeySequence(detachKeys);
  const onKeys = (keys: Buffer): void => {
    if (leaving) return;
    const { passed, complete } = sequence.take(keys);
    if (passed.length > 0) typed = command.write(passed).catch(ignore);
    leaving = complete;
    // The keys before these are the command's, which reads them when it likes: they are waited for, but not for ever.
    if (complete) void Promise.race([typed, delay(TAKEN_WITHIN_MS)]).then(() => leave("detached"));
  };
  const onResize = (): void => void command.resize(sizeOf(stdout)).catch(ignore);
  const sink = new OutputSink(stdout, () => leave("interrupted"));
  stdout.on("resize", onResize);
  try {
    using _keys = new Keys(context.stdin, onKeys);
    const report = await show(command, sink);
    await sink.flush();
    return { kind: "exited", report };
  } catch (error) {
    stdout.write(AS_IT_WAS);
    if (left === undefined) throw error;
    return left;
  } finally {
    stdout.off("resize", onResize);
    sink.release();
  }
}

async function show(command: TerminalCommand, sink: OutputSink): Promise<ExitReport> {
  for await (const event of command) {
    if (event.kind === "output") await sink.write(event.bytes);
    else if (event.kind === "exit") return event.report;
  }
  throw new PlyboxError("aborted", "the command was left behind");
}

/** A command that just ended cannot be fed, resized or signalled, and its `exit` is on the way. */
const ignore = (): void => {};
