import fc from "fast-check";
import { expect, it } from "vitest";
import { IdRanges, RANGE_SIZE } from "./id-ranges.ts";

const FIRST = 0x7000_0000;
const baseOf = (index: number): number => FIRST + index * RANGE_SIZE;

/** What can be asked for: a range, the return of the n-th that is held, or a mark on the n-th range of all. */
const asked = fc.record({ what: fc.constantFrom("take", "give back", "claim"), n: fc.nat(7) });

it("hands out the range that nobody has had for longest, and never one that somebody has", () => {
  const properties = fc.property(fc.integer({ min: 1, max: 8 }), fc.array(asked, { maxLength: 60 }), (count, steps) => {
    const ranges = new IdRanges(FIRST, count);
    const free = Array.from({ length: count }, (_, i) => baseOf(i));
    const held: number[] = [];
    for (const { what, n } of steps) {
      if (what === "take" && free.length === 0) {
        expect(() => ranges.take()).toThrow(expect.objectContaining({ code: "sandbox/too-many" }));
      } else if (what === "take") {
        const base = ranges.take();
        expect(held).not.toContain(base);
        expect(base).toBe(free.shift());
        held.push(base);
      } else if (what === "give back" && held.length > 0) {
        const [base = 0] = held.splice(n % held.length, 1);
        ranges.giveBack(base);
        free.push(base);
      } else if (what === "claim") {
        const base = baseOf(n % count);
        ranges.claim(base);
        if (free.includes(base)) held.push(...free.splice(free.indexOf(base), 1));
      }
    }
  });
  fc.assert(properties, { numRuns: 500 });
});

it("hands out a range once, though it was given back twice", () => {
  const ranges = new IdRanges(FIRST, 1);
  const base = ranges.take();
  ranges.giveBack(base);
  ranges.giveBack(base);
  expect(ranges.take()).toBe(base);
  expect(() => ranges.take()).toThrow("all 1 id ranges are in use");
});

it.each([FIRST - RANGE_SIZE, baseOf(2), FIRST + 1])("never hands out the foreign range at %d", (base) => {
  const ranges = new IdRanges(FIRST, 2);
  ranges.claim(base);
  ranges.giveBack(base);
  expect([ranges.take(), ranges.take()]).toEqual([baseOf(0), baseOf(1)]);
  expect(() => ranges.take()).toThrow("all 2 id ranges are in use");
});
