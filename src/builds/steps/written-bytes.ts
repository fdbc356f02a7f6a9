import { setTimeout as delay } from "node:timers/promises";
import { directoryBytes } from "../../sandbox/usage/directory-bytes.ts";

const LOOK_EVERY_MS = 1000;

/**
 * Looks from time to time at what is written below a directory, until `signal`. Resolves with whether it became more than
 * `mostBytes`: nothing else bounds it while a command runs.
 */
export async function exceeds(directory: string, mostBytes: number, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    try {
      await delay(LOOK_EVERY_MS, undefined, { signal });
      const bytes = await directoryBytes(directory, { signal });
      if (bytes !== null && bytes > mostBytes) return true;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  return false;
}
