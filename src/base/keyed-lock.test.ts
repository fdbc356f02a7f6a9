import { expect, test } from "vitest";
import { deferred } from "./deferred.ts";
import { KeyedLock } from "./keyed-lock.ts";

test("work of one key runs one at a time, in the order of asking", async () => {
  const lock = new KeyedLock();
  const ran: string[] = [];
  const gate = deferred();
  const first = lock.run("a", async () => {
    ran.push("first begins");
    await gate.promise;
    ran.push("first ends");
  });
  const others = ["second", "third"].map((name) => lock.run("a", () => void ran.push(name)));
  gate.resolve();
  await Promise.all([first, ...others]);
  expect(ran).toEqual(["first begins", "first ends", "second", "third"]);
});

test("work of another key does not wait", async () => {
  const lock = new KeyedLock();
  const gate = deferred();
  const held = lock.run("a", () => gate.promise);
  await expect(lock.run("b", () => "free")).resolves.toBe("free");
  gate.resolve();
  await held;
});

test("a failure is passed on and frees the lock", async () => {
  const lock = new KeyedLock();
  await expect(lock.run("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await expect(lock.run("a", () => "next")).resolves.toBe("next");
});

test("an abort while waiting leaves the queue without running", async () => {
  const lock = new KeyedLock();
  const gate = deferred();
  const controller = new AbortController();
  const held = lock.run("a", () => gate.promise);
  const left = lock.run("a", () => expect.unreachable(), controller.signal);
  const after = lock.run("a", () => "after");
  controller.abort("enough");
  await expect(left).rejects.toBe("enough");
  gate.resolve();
  await held;
  await expect(after).resolves.toBe("after");
});

test("an abort while the work runs does not stop it or free the lock", async () => {
  const lock = new KeyedLock();
  const gate = deferred<string>();
  const controller = new AbortController();
  const held = lock.run("a", () => gate.promise, controller.signal);
  controller.abort();
  let entered = false;
  const next = lock.run("a", () => {
    entered = true;
  });
  await Promise.resolve();
  expect(entered).toBe(false);
  gate.resolve("whole");
  await expect(held).resolves.toBe("whole");
  await next;
});

test("an abort after the waiting has ended takes nobody else's turn", async () => {
  const lock = new KeyedLock();
  const [first, second] = [deferred(), deferred()];
  const controller = new AbortController();
  const held = lock.run("a", () => first.promise);
  const next = lock.run("a", () => second.promise, controller.signal);
  const last = lock.run("a", () => "last");
  first.resolve();
  await held;
  controller.abort();
  second.resolve();
  await next;
  await expect(last).resolves.toBe("last");
});

test("an aborted signal takes no lock", async () => {
  const lock = new KeyedLock();
  await expect(lock.run("a", () => expect.unreachable(), AbortSignal.abort("no"))).rejects.toBe("no");
  await expect(lock.run("a", () => "free")).resolves.toBe("free");
});
