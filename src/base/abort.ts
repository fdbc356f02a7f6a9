import { setMaxListeners } from "node:events";
import { deferred } from "./deferred.ts";

/** An AbortController for any number of listeners; of the eleventh of others Node warns as of a leak. */
export function sharedAbort(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** Throws the signal's own reason when it is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}

/** The promise's outcome; calls `onAbort` with the reason if the signal is aborted before it settles. */
export async function watchAbort<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  onAbort: (reason: unknown) => void,
): Promise<T> {
  if (signal === undefined) return promise;
  const listener = () => onAbort(signal.reason);
  signal.addEventListener("abort", listener, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", listener);
  }
}

/**
 * The promise's value, or a rejection with the signal's reason as soon as it is aborted. The work itself cannot be
 * stopped: what arrives after the abort goes to `release`, which must not throw. A late failure is dropped.
 */
export function raceAbort<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  release: (late: T) => void,
): Promise<T> {
  const outcome = deferred<T>();
  const giveUp = (reason: unknown) => {
    outcome.reject(reason);
    promise.then(release, () => {});
  };
  if (signal?.aborted) giveUp(signal.reason);
  else watchAbort(promise, signal, giveUp).then(outcome.resolve, outcome.reject);
  return outcome.promise;
}
