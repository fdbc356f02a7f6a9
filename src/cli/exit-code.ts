import { constants } from "node:os";
import type { ExecLimit } from "../model/exec.ts";
import type { ExitReport } from "./stdio/relayed-command.ts";

/** Of the others the kernel ends nobody, or says itself by what signal: the command's own end tells what came of it. */
const OF_LIMIT: Partial<Record<ExecLimit, number>> = { wall: 124, cpu: 124, memory: 137, output: 125 };

/** What `run` and `exec` exit with: the command's own code, 128 + n for a signal, 124 or 137 for a limit. */
export function exitCodeOf({ limit, exitCode, signal }: Pick<ExitReport, "limit" | "exitCode" | "signal">): number {
  const code = limit === null ? undefined : OF_LIMIT[limit];
  return code ?? exitCode ?? exitCodeOfSignal(signal ?? "");
}

export const exitCodeOfSignal = (signal: string): number => 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);

const NAMES: Readonly<Record<ExecLimit, string>> = {
  wall: "time",
  cpu: "processor time",
  memory: "memory",
  output: "output",
  pids: "process",
  disk: "disk",
  "file-size": "file size",
};

/** What the user is told of a limit; the exit code alone could be the command's own. */
export const limitNote = (limit: ExecLimit, given: string | undefined): string =>
  `plybox: the command ran into its ${NAMES[limit]} limit${given === undefined ? "" : ` of ${given}`}\n`;

/** What the user is told of limits that were met on the way and ended nothing. */
export function limitsMetNote({ limit, limitsMet = {} }: Pick<ExitReport, "limit" | "limitsMet">): string {
  const { memoryKills = 0, refusedForks = 0, upperFull } = limitsMet;
  const notes = [
    ...(memoryKills > 0 && limit !== "memory"
      ? [`${count(memoryKills, "process", "es")} killed for want of memory`]
      : []),
    ...(refusedForks > 0 && limit !== "pids" ? [`${count(refusedForks, "fork")} refused`] : []),
    ...(upperFull !== undefined && limit !== "disk" ? [`the writable layer has no ${upperFull} left`] : []),
  ];
  return notes.length === 0 ? "" : `plybox: while the command ran: ${notes.join(", ")}\n`;
}

const count = (many: number, word: string, ending = "s"): string => `${many} ${word}${many === 1 ? "" : ending}`;
