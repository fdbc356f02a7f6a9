import { PlyboxError } from "../../model/errors.ts";
import type { OutputStream } from "../../model/exec.ts";
import type { CliContext } from "../context.ts";
import type { Interrupts } from "./interrupts.ts";
import type { ExitReport, RelayedCommand } from "./relayed-command.ts";

/** How long a command whose reader went away may take to notice, as for any limit. */
const KILL_AFTER_MS = 1000;

/** Takes one of a command's streams. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
}

export interface RelayOptions {
  readonly command: RelayedCommand;
  readonly sinks: Readonly<Record<OutputStream, Sink>>;
  /** What the command reads; its stdin is left alone without. */
  readonly stdin?: CliContext["stdin"];
  readonly interrupts: Interrupts;
  /** Told of output that is gone. */
  readonly onLost: (stream: OutputStream, bytes: number) => void;
}

/**
 * Joins a command to our own streams until it ends: its output is written as fast as it is read, and interrupts go to
 * it. The first is passed on, the second kills all that the command started, and a third stops listening.
 * @throws PlyboxError `aborted` after that, and what reading the command throws
 */
export async function relay({ command, sinks, stdin, interrupts, onLost }: RelayOptions): Promise<ExitReport> {
  interrupts.handTo((signal, count) => {
    if (count > 2) command.close();
    else void (count === 2 ? command.signal("SIGKILL", "all") : command.signal(signal, "group")).catch(ignore);
  });
  if (stdin !== undefined) void forwardInput(stdin, command);
  try {
    for await (const event of command) {
      if (event.kind === "output") await sinks[event.stream].write(event.bytes);
      else if (event.kind === "lost") onLost(event.stream, event.to - event.from);
      else if (event.kind === "exit") return event.report;
    }
  } finally {
    if (stdin !== undefined && "destroy" in stdin && typeof stdin.destroy === "function") stdin.destroy();
  }
  throw new PlyboxError("aborted", "the command was left behind");
}

/**
 * Ends a command that writes to nobody: SIGPIPE as the kernel would send it, and SIGKILL to one that goes on.
 * Returns what takes the second back.
 */
export function breakPipe(command: RelayedCommand): Disposable {
  void command.signal("SIGPIPE", "group").catch(ignore);
  const timer = setTimeout(() => void command.signal("SIGKILL", "all").catch(ignore), KILL_AFTER_MS);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

async function forwardInput(stdin: CliContext["stdin"], command: RelayedCommand): Promise<void> {
  try {
    for await (const chunk of stdin) await command.write(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  } catch {
    // The command closed its input or ended, or ours cannot be read: either way there is no more of it.
  }
  await command.endInput().catch(ignore);
}

/** A command that just ended cannot be signalled or fed, and its `exit` is on the way. */
const ignore = (): void => {};
