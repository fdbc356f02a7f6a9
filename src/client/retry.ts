import type { ErrorCode } from "../model/errors.ts";
import { untilAborted } from "./abort.ts";
import { PlyboxApiError } from "./plybox-api-error.ts";

/** For how long a daemon that went away is looked for, unless it is said otherwise. */
export const RECONNECT_MS = 60_000;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1000;

/** A daemon that starts, stops or has lost sight of an agent may answer a moment later. */
const PASSING: ReadonlySet<ErrorCode> = new Set(["daemon/unreachable", "daemon/stopping", "agent/unreachable"]);

export const isPassing = (error: unknown): boolean => error instanceof PlyboxApiError && PASSING.has(error.code);

/** Tries again, for `forMs` at most, for as long as nobody answers. Throws the first failure that is another one. */
export async function untilAnswered<T>(attempt: () => Promise<T>, forMs: number, signal?: AbortSignal): Promise<T> {
  const began = performance.now();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isPassing(error) || performance.now() - began + pauseMs > forMs) throw error;
    }
    const paused = new Promise<void>((resolve) => setTimeout(resolve, pauseMs));
    await (signal === undefined ? paused : untilAborted(signal, paused));
  }
}
