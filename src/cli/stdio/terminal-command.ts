import type { Terminal } from "../../client/index.ts";
import type { ExecSession, TerminalSize } from "../../model/exec.ts";
import type { ExecId } from "../../model/ids.ts";
import type { Signaller } from "./in-process-command.ts";
import { inProcessCommand } from "./in-process-command.ts";
import type { RelayedCommand } from "./relayed-command.ts";

/** A command on a terminal, in a sandbox of this process or of a daemon. Its output is stdout's. */
export interface TerminalCommand extends RelayedCommand {
  resize(size: TerminalSize): Promise<void>;
}

/** A command on a terminal in a sandbox of a daemon. */
export function daemonTerminal(terminal: Terminal): TerminalCommand {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const bytes of terminal) yield { kind: "output", stream: "stdout", bytes };
      yield { kind: "exit", report: await terminal.exit };
    },
    write: (bytes) => terminal.write(bytes),
    // Who types ends the input with a key.
    endInput: async () => {},
    signal: (signal) => terminal.kill(signal),
    close: () => terminal.close(),
    resize: (size) => terminal.resize(size),
  };
}

/** What is asked of the sandbox that the command runs in. */
interface Resizer extends Signaller {
  resize(ref: string, exec: ExecId, size: TerminalSize): Promise<void>;
}

/** A command on a terminal in a sandbox of this process. */
export function inProcessTerminal(session: ExecSession, sandboxes: Resizer, ref: string): TerminalCommand {
  return {
    ...inProcessCommand(session, sandboxes, ref),
    resize: (size) => sandboxes.resize(ref, session.exec, size),
  };
}
