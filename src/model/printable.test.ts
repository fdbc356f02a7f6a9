import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonLine, masked, writtenOut } from "./printable.ts";

describe("a text that others wrote", () => {
  it.each([
    ["an escape sequence", "a\u001b[2Jb", "a?[2Jb", "a\\u001b[2Jb"],
    ["the same in one character", "a\u009b2Jb", "a?2Jb", "a\\u009b2Jb"],
    ["the end of a line", "a\r\nb", "a??b", "a\\r\\nb"],
    ["a line separator", "a\u2028b", "a?b", "a\\u2028b"],
    ["a turned direction", "a\u202egpj.exe", "a?gpj.exe", "a\\u202egpj.exe"],
    ["a deletion", "a\u007fb", "a?b", "a\\u007fb"],
  ])("with %s has nothing that a terminal obeys", (_what, text, mask, written) => {
    expect(masked(text)).toBe(mask);
    expect(writtenOut(text)).toBe(written);
    expect(JSON.parse(jsonLine(text))).toBe(text);
  });

  it("stays what it is where it is harmless", () => {
    for (const text of ["plain", "ünï ☃ 日本語 🐙", "a\\nb"]) {
      expect([masked(text), writtenOut(text), jsonLine(text)]).toEqual([text, text, JSON.stringify(text)]);
    }
  });

  it("is the same value as JSON, and moves no cursor, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(JSON.parse(jsonLine({ text }))).toEqual({ text });
        for (const shown of [masked(text), writtenOut(text), jsonLine(text)]) {
          expect(shown).not.toMatch(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
        }
      }),
    );
  });
});
