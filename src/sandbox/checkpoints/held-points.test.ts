import { expect, it } from "vitest";
import { deferred } from "../../base/deferred.ts";
import { newCheckpointId } from "../../model/ids.ts";
import { HeldPoints } from "./held-points.ts";

it("a point is free when the last of its readers has ended, also by throwing", async () => {
  const points = new HeldPoints();
  const [one, other] = [newCheckpointId(), newCheckpointId()];
  const [first, second] = [deferred(), deferred()];
  const reading = points.during([one, other], () => first.promise);
  const failing = points.during([one], () => second.promise);
  const order: string[] = [];
  const freed = points.untilFree(one).then(() => order.push("free"));
  first.resolve();
  await reading;
  expect([points.isHeld(one), points.isHeld(other)]).toEqual([true, false]);
  order.push("one left");
  second.reject(new Error("no"));
  await expect(failing).rejects.toThrow("no");
  await freed;
  expect(order).toEqual(["one left", "free"]);
  expect(points.isHeld(one)).toBe(false);
  await points.untilFree(one);
});
