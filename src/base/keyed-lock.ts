import { throwIfAborted } from "./abort.ts";

/** One asynchronous mutex a key, first come, first served; keys that nobody holds take no memory. */
export class KeyedLock {
  /** Who waits for each held key, oldest first. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /**
   * Runs `work` while no other work of this key runs. An abort ends the waiting, not the work.
   * @throws the signal's reason when it is aborted before the lock is had
   */
  async run<T>(key: string, work: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    throwIfAborted(signal);
    await this.#acquire(key, signal);
    try {
      return await work();
    } finally {
      this.#release(key);
    }
  }

  #acquire(key: string, signal: AbortSignal | undefined): Promise<void> | undefined {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) {
      this.#waiting.set(key, []);
      return;
    }
    return new Promise<void>((resolve, reject) => {
      const take = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        waiting.splice(waiting.indexOf(take), 1);
        reject(signal?.reason);
      };
      waiting.push(take);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  #release(key: string): void {
    const next = this.#waiting.get(key)?.shift();
    if (next === undefined) this.#waiting.delete(key);
    else next();
  }
}
