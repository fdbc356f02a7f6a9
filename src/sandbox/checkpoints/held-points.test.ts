import { describe, expect, it } from "vitest";
import { deferred } from "../../base/deferred.ts";
import { newCheckpointId } from "../../model/ids.ts";
import { HeldPoints } from "./held-points.ts";

describe("a point that is held", () => {
  const [one, other] = [newCheckpointId(), newCheckpointId()];

  it("is free when the last of its readers has ended", async () => {
    const held = new HeldPoints();
    const [first, second] = [deferred<void>(), deferred<void>()];
    const reading = [held.during([one, other], () => first.promise), held.during([one], () => second.promise)];
    let isFree = false;
    const waiting = held.untilFree(one).then(() => {
      isFree = true;
    });
    first.resolve();
    await reading[0];
    expect([isFree, held.isHeld(one), held.isHeld(other)]).toEqual([false, true, false]);
    second.resolve();
    await waiting;
    expect(held.isHeld(one)).toBe(false);
  });

  it("tells those who can stop that somebody waits for what they read, and nobody else", async () => {
    const held = new HeldPoints();
    const work = deferred<void>();
    const reading = held.duringUnlessWanted(
      [one, other],
      () => work.resolve(),
      () => work.promise,
    );
    const bystander = deferred<void>();
    const elsewhere = held.duringUnlessWanted(
      [newCheckpointId()],
      () => bystander.reject(new Error("nobody waits for it")),
      () => bystander.promise,
    );
    await held.untilFree(other);
    await reading;
    expect([held.isHeld(one), held.isHeld(other)]).toEqual([false, false]);
    bystander.resolve();
    await elsewhere;
  });
});
