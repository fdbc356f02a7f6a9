import type { ExecEvent, ExecReport, ExecSession, OutputOffsets, OutputReading } from "../../model/exec.ts";

/** A command that its agent has forgotten, told from the history: how it ended, and which bytes are gone. */
export function replayedSession(report: ExecReport, pid: number, from: OutputOffsets): ExecSession {
  return {
    exec: report.exec,
    pid,
    write: async () => {},
    endInput: async () => {},
    close() {},
    [Symbol.asyncIterator]: () => replayedEvents(report, from),
  };
}

/** The same for one who reads beside: nothing is kept. */
export function replayedReading(report: ExecReport, pid: number, from: OutputOffsets): OutputReading {
  const { exec, stdoutBytes, stderrBytes } = report;
  return {
    ...{ exec, pid, report },
    stdout: { from: stdoutBytes, to: stdoutBytes },
    stderr: { from: stderrBytes, to: stderrBytes },
    close() {},
    [Symbol.asyncIterator]: () => replayedEvents(report, from),
  };
}

async function* replayedEvents(report: ExecReport, from: OutputOffsets): AsyncGenerator<ExecEvent, undefined> {
  const ends = { stdout: report.stdoutBytes, stderr: report.stderrBytes };
  for (const stream of ["stdout", "stderr"] as const) {
    if (from[stream] < ends[stream]) yield { kind: "lost", stream, from: from[stream], to: ends[stream] };
  }
  yield { kind: "exit", report };
  return undefined;
}
