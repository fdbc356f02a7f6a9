import fc from "fast-check";
import { expect, it } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

it("lets a burst through, then as many as have come back", () => {
  let now = 0;
  const bucket = new TokenBucket({ perMinute: 60, burst: 2 }, () => now);
  expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([0, 0, 1000]);
  now = 400;
  expect(bucket.take()).toBe(600);
  now = 1000;
  expect([bucket.take(), bucket.take()]).toEqual([0, 1000]);
});

it("never holds more than the burst", () => {
  let now = 0;
  const bucket = new TokenBucket({ perMinute: 60, burst: 2 }, () => now);
  now = 3_600_000;
  expect([bucket.take(), bucket.take()]).toEqual([0, 0]);
  expect(bucket.take()).toBeGreaterThan(0);
});

it("lets nobody through sooner than it says, and somebody then", () => {
  const rate = fc.record({ perMinute: fc.integer({ min: 1, max: 10_000 }), burst: fc.integer({ min: 1, max: 50 }) });
  fc.assert(
    fc.property(rate, fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 100 }), (given, pauses) => {
      let now = 0;
      let passed = 0;
      const bucket = new TokenBucket(given, () => now);
      for (const pause of pauses) {
        now += pause;
        if (bucket.take() === 0) passed += 1;
      }
      // One more for rounding.
      expect(passed).toBeLessThanOrEqual(given.burst + (now * given.perMinute) / 60_000 + 1);
      now += bucket.take();
      expect(bucket.take()).toBeLessThanOrEqual(Math.ceil(60_000 / given.perMinute));
    }),
  );
});
