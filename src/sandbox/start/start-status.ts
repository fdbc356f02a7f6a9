import { newExecId } from "../../model/ids.ts";
import type { StartCommand, StartCommandSpec, StartEnd } from "../../model/start-command.ts";

/** A run of this length is taken for a success: the next delay is the shortest again. */
const STEADY_MS = 10_000;

/** What a user asks for, with its defaults, before its first run. */
export function newStartCommand(spec: StartCommandSpec): StartCommand {
  return restarted({
    ...spec,
    restart: spec.restart ?? "never",
    backoffMs: spec.backoffMs ?? 100,
    maxBackoffMs: spec.maxBackoffMs ?? 60_000,
    whenDone: spec.whenDone ?? "keep",
    status: { kind: "idle" },
    restarts: 0,
    streak: 0,
    lastEnd: null,
  });
}

/** It as its sandbox starts again. */
export function restarted(start: StartCommand): StartCommand {
  return { ...nextRun(start), restarts: 0, streak: 0 };
}

/** It about to run. The id is chosen, and written down, before: so it is never started twice. */
export function nextRun(start: StartCommand): StartCommand {
  return { ...start, status: { kind: "running", exec: newExecId(), pid: null } };
}

/** What follows from the end of a run that took so long: another run after a delay, or the end for good. */
export function afterEnd(start: StartCommand, lastEnd: StartEnd, ranMs: number): StartCommand {
  if (!isRunAgain(start, lastEnd)) return { ...start, lastEnd, status: { kind: "done" } };
  const streak = ranMs >= STEADY_MS ? 0 : start.streak;
  const delayMs = Math.min(start.maxBackoffMs, start.backoffMs * 2 ** Math.min(streak, 32));
  return { ...start, lastEnd, status: { kind: "waiting", delayMs }, restarts: start.restarts + 1, streak: streak + 1 };
}

function isRunAgain({ restart, maxRestarts, restarts }: StartCommand, end: StartEnd): boolean {
  if (maxRestarts !== undefined && restarts >= maxRestarts) return false;
  if (restart === "on-failure") return end.kind !== "exited" || end.code !== 0;
  return restart === "always";
}
