import { expect, test } from "vitest";
import { raceAbort, sharedAbort, throwIfAborted, watchAbort } from "./abort.ts";
import { deferred } from "./deferred.ts";

test("a shared abort has any number of listeners without a warning", async () => {
  const warned: Error[] = [];
  const listener = (warning: Error) => warned.push(warning);
  process.on("warning", listener);
  const { signal } = sharedAbort();
  for (let i = 0; i < 20; i++) signal.addEventListener("abort", () => {});
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", listener);
  expect(warned).toEqual([]);
});

test("throwIfAborted throws the signal's reason", () => {
  const reason = new Error("enough");
  expect(() => throwIfAborted(AbortSignal.abort(reason))).toThrow(reason);
  expect(() => throwIfAborted(new AbortController().signal)).not.toThrow();
  expect(() => throwIfAborted(undefined)).not.toThrow();
});

test("a watched promise tells of an abort that comes before it settles, and only then", async () => {
  const reasons: unknown[] = [];
  const controller = new AbortController();
  await expect(watchAbort(Promise.resolve(1), controller.signal, (reason) => reasons.push(reason))).resolves.toBe(1);
  const pending = deferred<number>();
  const watched = watchAbort(pending.promise, controller.signal, (reason) => pending.reject(reason));
  controller.abort("stop");
  await expect(watched).rejects.toBe("stop");
  expect(reasons).toEqual([]);
});

test("a race that nobody aborts gives the value and releases nothing", async () => {
  const released: number[] = [];
  const controller = new AbortController();
  await expect(raceAbort(Promise.resolve(1), controller.signal, (n) => released.push(n))).resolves.toBe(1);
  controller.abort();
  await Promise.resolve();
  expect(released).toEqual([]);
});

test("an abort rejects at once with its reason, and what arrives later is released", async () => {
  const arrival = deferred<string>();
  const released = deferred<string>();
  const controller = new AbortController();
  const race = raceAbort(arrival.promise, controller.signal, released.resolve);
  const reason = new Error("gone");
  controller.abort(reason);
  await expect(race).rejects.toBe(reason);
  arrival.resolve("late");
  await expect(released.promise).resolves.toBe("late");
});

test("a signal that is aborted already wins, and the value is released", async () => {
  const released = deferred<string>();
  const race = raceAbort(Promise.resolve("ready"), AbortSignal.abort("stop"), released.resolve);
  await expect(race).rejects.toBe("stop");
  await expect(released.promise).resolves.toBe("ready");
});

test("a failure passes through, and one after the abort is dropped", async () => {
  const failing = deferred<string>();
  const controller = new AbortController();
  const race = raceAbort(failing.promise, controller.signal, () => expect.unreachable());
  controller.abort("stop");
  await expect(race).rejects.toBe("stop");
  failing.reject(new Error("late failure"));

  const reason = new Error("early failure");
  await expect(raceAbort(Promise.reject(reason), new AbortController().signal, () => {})).rejects.toBe(reason);
});
