import { describe, expect, it } from "vitest";
import type { Pattern } from "./pattern.ts";
import { ANY, matches } from "./pattern.ts";

const patternOf = (text: string) =>
  [...text].map((character) => (character === "*" ? ANY : (item: string) => item === character));

describe("a pattern", () => {
  it.each([
    ["", "", true],
    ["", "a", false],
    ["a", "a", true],
    ["a", "ab", false],
    ["ab", "a", false],
    ["*", "", true],
    ["*", "abc", true],
    ["a*c", "abbc", true],
    ["a*c", "abbcd", false],
    ["*ab*ab", "aabab", true],
    ["*ab*ab", "aab", false],
    ["a**", "a", true],
  ])("%j and %j", (pattern, text, expected) => {
    expect(matches(patternOf(pattern), text)).toBe(expected);
  });

  it("with many wildcards tests no more than the product of the lengths", () => {
    let tests = 0;
    const is = (wanted: string) => (item: string) => {
      tests++;
      return item === wanted;
    };
    const pattern: Pattern<string> = [
      ...Array.from({ length: 20 }, () => [ANY, is("a")] as const).flat(),
      ANY,
      is("b"),
    ];
    expect(matches(pattern, "a".repeat(500))).toBe(false);
    expect(tests).toBeLessThanOrEqual(pattern.length * 500);
  });
});
