import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SeccompArgument } from "../model/seccomp.ts";
import { hasNone, isInt, isNoneOf } from "./arguments.ts";

const LOWER_HALF = 0xffff_ffffn;

/** What the kernel does with SCMP_CMP_MASKED_EQ. */
const isMet = ({ value, valueTwo = 0 }: SeccompArgument, register: bigint): boolean =>
  (register & BigInt(value)) === BigInt(valueTwo);

const registers = fc.bigInt(0n, 2n ** 64n - 1n);
const ints = fc.integer({ min: 0, max: 0xffff_ffff });

describe("a condition on an int", () => {
  it("isInt is met by the number alone, whatever the upper half of the register holds", () => {
    fc.assert(
      fc.property(registers, ints, (register, value) => {
        expect(isMet(isInt(0, value), register)).toBe((register & LOWER_HALF) === BigInt(value));
      }),
    );
    expect(isMet(isInt(0, 0x5412), 0xffff_ffff_0000_5412n)).toBe(true);
  });

  it("isNoneOf has exactly one condition that is met by any other number, and none by the numbers", () => {
    fc.assert(
      fc.property(registers, fc.uniqueArray(ints, { minLength: 1, maxLength: 5 }), (register, values) => {
        const met = isNoneOf(1, values).filter((condition) => isMet(condition, register));
        expect(met).toHaveLength(values.includes(Number(register & LOWER_HALF)) ? 0 : 1);
        for (const value of values) {
          const disguised = ((register >> 32n) << 32n) | BigInt(value);
          expect(isNoneOf(1, values).some((condition) => isMet(condition, disguised))).toBe(false);
        }
      }),
    );
  });

  it("hasNone is met where no bit of the mask is set", () => {
    expect(isMet(hasNone(0, 0x7e02_0000), 0x11n)).toBe(true);
    expect(isMet(hasNone(0, 0x7e02_0000), 0x1000_0011n)).toBe(false);
  });
});
