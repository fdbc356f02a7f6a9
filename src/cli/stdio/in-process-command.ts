import type { ExecReport, ExecSession, SignalScope } from "../../model/exec.ts";
import type { ExecId } from "../../model/ids.ts";
import type { ExitReport, RelayedCommand } from "./relayed-command.ts";

/** What is asked of the sandbox that the command runs in. */
export interface Signaller {
  signal(ref: string, exec: ExecId, signal: string, scope: SignalScope): Promise<void>;
}

/** A command in a sandbox of this process. */
export function inProcessCommand(session: ExecSession, sandboxes: Signaller, ref: string): RelayedCommand {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const event of session) {
        yield event.kind === "exit" ? { kind: "exit", report: exitReportOf(event.report) } : event;
      }
    },
    write: (bytes) => session.write(bytes),
    endInput: () => session.endInput(),
    signal: (signal, scope) => sandboxes.signal(ref, session.exec, signal, scope),
    close: () => session.close(),
  };
}

const exitReportOf = ({ exec, code, ...report }: ExecReport): ExitReport => ({ exec, exitCode: code, ...report });
