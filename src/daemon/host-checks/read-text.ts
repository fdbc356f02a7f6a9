import { readFileSync } from "node:fs";

/** The text of a file, or undefined where it cannot be read: for a check, a file that is not there is an answer. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
