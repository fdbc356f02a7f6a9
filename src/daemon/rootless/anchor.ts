import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "../../base/process-mark.ts";

/** Has the mark of the process that holds the namespaces of a run directory; `plylaunch` writes it. */
export const anchorFile = (runDir: string): string => join(runDir, "namespace");

/** Ends the process that holds the namespaces, where there is one: what lives in them besides goes on without it. */
export function weighAnchor(runDir: string): void {
  const file = anchorFile(runDir);
  let mark: string;
  try {
    mark = readFileSync(file, "utf8").trim();
  } catch {
    return;
  }
  // First: whoever comes now makes namespaces that last.
  rmSync(file, { force: true });
  if (isAlive(mark)) process.kill(Number.parseInt(mark, 10), "SIGKILL");
}
