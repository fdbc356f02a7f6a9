import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

/**
 * A file name part that says which process made a file: `PID.STARTTIME.RANDOM`. A pid comes back after a while, a pid
 * with its start time does not; the random part tells two users of one process apart.
 */
export type ProcessMark = string;

const MARK = /(\d+)\.(\d+)\.[0-9a-f]{16}$/;

export function newProcessMark(): ProcessMark {
  return `${process.pid}.${startTime(process.pid) ?? 0}.${randomBytes(8).toString("hex")}`;
}

/** Whether the process whose mark ends `fileName` still runs. A name without a mark is nobody's. */
export function isMakerAlive(fileName: string): boolean {
  const match = MARK.exec(fileName);
  return match !== null && startTime(Number(match[1])) === match[2];
}

/** Field 22 of /proc/PID/stat: clock ticks between boot and the process's start. Undefined once it has ended. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name, field 2, is in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
