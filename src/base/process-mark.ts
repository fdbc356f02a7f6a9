import { readFileSync } from "node:fs";

/** Of the machine's present run, 32 hexadecimal digits: another after each boot. */
export const BOOT_ID: string = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim().replaceAll("-", "");

/** Names a process for good: `PID.STARTTIME.BOOT`. */
export type ProcessMark = string;

/** Undefined once the process has ended, also while it only waits to be reaped. */
export function markOf(pid: number): ProcessMark | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : `${pid}.${startTime}.${BOOT_ID}`;
}

/** Whether the process still runs. Something that is no mark is nobody's. */
export const isAlive = (mark: string): boolean => markOf(Number.parseInt(mark, 10)) === mark;

/** Field 22 of /proc/PID/stat: clock ticks between boot and the process's start. Pids come back, and so do both after a boot. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name, field 2, is in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
