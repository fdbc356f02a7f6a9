// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax that is read here
import { describe, expect, it } from "vitest";
import { expand, expandDocument, splitWords } from "./words.ts";

const VALUES: Readonly<Record<string, string>> = { A: "a", EMPTY: "", PATH: "/bin", A_1: "long" };
const variables = (name: string): string | undefined => VALUES[name];
const PLACE = { line: 7, escapeCharacter: "\\" };
const expanded = (word: string) => expand(word, variables, PLACE);

describe("a word", () => {
  it.each([
    ["plain", "plain"],
    ["$A", "a"],
    ["${A}x$A_1", "axlong"],
    ["$A.b", "a.b"],
    ["$NONE-${NONE}", "-"],
    ["$", "$"],
    ["a$ b", "a$ b"],
    ["\\$A", "$A"],
    ["'$A'", "$A"],
    ['"$A b"', "a b"],
    ['"\\$A \\" \\n"', '$A " \\n'],
    ["a'b c'\"d\"", "ab cd"],
    ["${NONE:-x}", "x"],
    ["${EMPTY:-x}", "x"],
    ["${EMPTY-x}", ""],
    ["${NONE-x}", "x"],
    ["${A:-x}", "a"],
    ["${A:+x}", "x"],
    ["${EMPTY:+x}", ""],
    ["${EMPTY+x}", "x"],
    ["${NONE+x}", ""],
    ["${A:?wrong}", "a"],
    ["${NONE:-${A}/${NONE:-'} '}}", "a/} "],
    ["$PATH:/x", "/bin:/x"],
  ])("%s", (word, expected) => {
    expect(expanded(word)).toBe(expected);
  });

  it.each([
    ["'a", "build/invalid"],
    ['"a', "build/invalid"],
    ["${A", "build/invalid"],
    ["${}", "build/invalid"],
    ["${A:-x", "build/invalid"],
    ["${NONE:?wrong}", "build/invalid"],
    ["${A#x}", "build/unsupported"],
    ["${A:1}", "build/unsupported"],
  ])("%s is refused with its line", (word, code) => {
    expect(() => expanded(word)).toThrow(expect.objectContaining({ code, line: 7 }));
  });
});

it("a document keeps its quotes, and an escaped $", () => {
  expect(expandDocument("'$A' \"${A}\" \\$A \\n", variables, PLACE)).toBe("'a' \"a\" $A \\n");
});

it("blanks in quotes or behind the escape character part no words", () => {
  expect(splitWords("a  'b c'd \"e ' f\" g\\ h ", "\\")).toEqual(["a", "'b c'd", '"e \' f"', "g\\ h"]);
  expect(splitWords(" ", "\\")).toEqual([]);
});
