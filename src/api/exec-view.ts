import type { KnownExec } from "../sandbox/execs/commands.ts";
import type { ExecView } from "./contract.ts";

/** A command as the API shows it: what its agent says goes before what was written down. */
export function execView({ record, summary }: KnownExec): ExecView {
  const { exec, phase, by, command, cwd, user, pty, detached, startedAt, endedAt } = record;
  const report = record.report ?? summary?.report ?? null;
  const ended = summary === undefined ? phase === "ended" || phase === "unseen" : !summary.running;
  return {
    exec,
    pid: summary?.pid ?? record.pid,
    running: !ended,
    seen: phase !== "unseen",
    kept: summary !== undefined,
    command: typeof command === "string" ? command : [...command],
    by,
    cwd,
    user,
    pty,
    detached,
    startedAt: startedAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    exitCode: report?.code ?? null,
    signal: report?.signal ?? null,
    limit: report?.limit ?? null,
    limitsMet: report?.limitsMet ?? null,
    wallMs: report?.wallMs ?? summary?.wallMs ?? null,
    userMs: report?.userMs ?? null,
    systemMs: report?.systemMs ?? null,
    peakRssBytes: report?.peakRssBytes ?? null,
    memoryPeakBytes: report?.memoryPeakBytes ?? null,
    stdoutBytes: summary?.stdoutBytes ?? report?.stdoutBytes ?? null,
    stderrBytes: summary?.stderrBytes ?? report?.stderrBytes ?? null,
  };
}
