import { constants } from "node:os";
import type { ExecLimit } from "../model/exec.ts";
import type { ExitReport } from "./stdio/relayed-command.ts";

const OF_LIMIT: Readonly<Record<Exclude<ExecLimit, "pids">, number>> = {
  wall: 124,
  cpu: 124,
  memory: 137,
  output: 125,
};

/** What `run` and `exec` exit with: the command's own code, 128 + n for a signal, 124 or 137 for a limit. */
export function exitCodeOf({ limit, exitCode, signal }: Pick<ExitReport, "limit" | "exitCode" | "signal">): number {
  // A refused fork ends nothing: the command's own code says what came of it.
  if (limit !== null && limit !== "pids") return OF_LIMIT[limit];
  if (exitCode !== null) return exitCode;
  return exitCodeOfSignal(signal ?? "");
}

export const exitCodeOfSignal = (signal: string): number => 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);

/** What the user is told of a limit; the exit code alone could be the command's own. */
export function limitNote(limit: ExecLimit, given: string | undefined): string {
  const names = { wall: "time", cpu: "processor time", memory: "memory", output: "output", pids: "process" } as const;
  return `plybox: the command ran into its ${names[limit]} limit${given === undefined ? "" : ` of ${given}`}\n`;
}
