import type { ExecEvent, ExecReport, ExecSession, OutputOffsets } from "../../model/exec.ts";

/** A command that its agent has forgotten, told from the history: how it ended, and which bytes are gone. */
export function replayedSession(report: ExecReport, pid: number, from: OutputOffsets): ExecSession {
  return {
    exec: report.exec,
    pid,
    write: async () => {},
    endInput: async () => {},
    close() {},
    async *[Symbol.asyncIterator](): AsyncGenerator<ExecEvent, undefined> {
      const ends = { stdout: report.stdoutBytes, stderr: report.stderrBytes };
      for (const stream of ["stdout", "stderr"] as const) {
        if (from[stream] < ends[stream]) yield { kind: "lost", stream, from: from[stream], to: ends[stream] };
      }
      yield { kind: "exit", report };
      return undefined;
    },
  };
}
