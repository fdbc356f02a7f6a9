import { describe, expect, it } from "vitest";
import { atOnce } from "./at-once.ts";
import { deferred } from "./deferred.ts";

describe("atOnce", () => {
  it("runs every task, and never more than so many", async () => {
    let running = 0;
    let most = 0;
    const done: number[] = [];
    await atOnce([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      done.push(item);
    });
    expect(done.sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(most).toBe(3);
  });

  it("throws the first failure when the others have ended, aborts them and begins no more", async () => {
    const begun: number[] = [];
    const ended: number[] = [];
    const waiting = deferred<void>();
    const work = atOnce([1, 2, 3, 4], 2, async (item, signal) => {
      begun.push(item);
      if (item === 1) throw new Error("the first");
      signal.addEventListener("abort", () => waiting.resolve());
      if (signal.aborted) waiting.resolve();
      await waiting.promise;
      ended.push(item);
      throw new Error("the second");
    });
    await expect(work).rejects.toThrow("the first");
    expect([begun, ended]).toEqual([[1, 2], [2]]);
  });

  it("hands on the caller's abort", async () => {
    const abort = new AbortController();
    const work = atOnce(
      [1],
      1,
      (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
        }),
      abort.signal,
    );
    abort.abort(new Error("no more"));
    await expect(work).rejects.toThrow("no more");
  });
});
