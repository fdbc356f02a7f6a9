import { expect, test } from "vitest";
import { deferred } from "./deferred.ts";

test("is settled from outside, once", async () => {
  const answer = deferred<number>();
  answer.resolve(42);
  answer.reject(new Error("too late"));
  await expect(answer.promise).resolves.toBe(42);
});

test("rejects with the given reason", async () => {
  const answer = deferred();
  const reason = new Error("no");
  answer.reject(reason);
  await expect(answer.promise).rejects.toBe(reason);
});
