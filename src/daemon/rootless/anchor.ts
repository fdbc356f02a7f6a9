import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Names the process that holds the namespaces of a run directory, by pid and start time. */
export const anchorFile = (runDir: string): string => join(runDir, "namespace");

/** Ends the process that holds the namespaces, where there is one: what lives in them besides goes on without it. */
export function weighAnchor(runDir: string): void {
  const file = anchorFile(runDir);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return;
  }
  // First: whoever comes now makes namespaces that last.
  rmSync(file, { force: true });
  const [pid = "", startTime] = text.trim().split(" ");
  if (startTimeOf(pid) === startTime) process.kill(Number(pid), "SIGKILL");
}

/** Field 22 of /proc/PID/stat: with the pid it names a process for good. */
function startTimeOf(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // Behind the command's name, which may hold spaces.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
