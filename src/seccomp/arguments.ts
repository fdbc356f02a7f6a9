import type { SeccompArgument } from "../model/seccomp.ts";

const WIDTH = 32;
/** The kernel reads an `int` from the lower half of a register; whatever the upper holds must not make a difference. */
const LOWER_HALF = 0xffff_ffff;

/** An argument of type `int` that is `value`. */
export const isInt = (index: number, value: number): SeccompArgument => ({
  index,
  value: LOWER_HALF,
  valueTwo: value,
  op: "SCMP_CMP_MASKED_EQ",
});

/** An argument that has none of these bits. */
export const hasNone = (index: number, bits: number): SeccompArgument => ({
  index,
  value: bits,
  valueTwo: 0,
  op: "SCMP_CMP_MASKED_EQ",
});

/**
 * Conditions of which exactly one is met when an argument of type `int` is none of `values`. There is no operator that
 * compares the lower half for inequality, so these are the subtrees of the numbers' binary tree that hold no value.
 */
export function isNoneOf(index: number, values: readonly number[]): readonly SeccompArgument[] {
  const found: SeccompArgument[] = [];
  const descend = (prefix: number, depth: number, inside: readonly number[]): void => {
    if (inside.length === 0) {
      const mask = (LOWER_HALF - (2 ** (WIDTH - depth) - 1)) >>> 0;
      found.push({ index, value: mask, valueTwo: prefix, op: "SCMP_CMP_MASKED_EQ" });
      return;
    }
    if (depth === WIDTH) return;
    const bit = 2 ** (WIDTH - 1 - depth);
    const hasBit = (value: number): boolean => Math.floor(value / bit) % 2 === 1;
    descend(
      prefix,
      depth + 1,
      inside.filter((value) => !hasBit(value)),
    );
    descend(prefix + bit, depth + 1, inside.filter(hasBit));
  };
  descend(0, 0, values);
  return found;
}
