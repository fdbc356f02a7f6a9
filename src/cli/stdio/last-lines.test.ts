import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LastLines } from "./last-lines.ts";

function last(count: number, ...pieces: string[]): string {
  const lines = new LastLines(count);
  for (const piece of pieces) lines.take(Buffer.from(piece));
  return Buffer.from(lines.bytes()).toString();
}

describe("the last lines", () => {
  it.each([
    [1, "", ""],
    [1, "\n", "\n"],
    [1, "a", "a"],
    [1, "a\nb\n", "b\n"],
    [1, "a\nb", "b"],
    [2, "\nb", "\nb"],
    [2, "a\n\nb\n", "\nb\n"],
    [9, "a\nb\n", "a\nb\n"],
  ])("%d of %j are %j", (count, text, expected) => {
    expect(last(count, text)).toBe(expected);
  });

  it("are the same however the bytes come", () => {
    const pieces = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 9 }), { maxLength: 20 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), pieces, (count, texts) => {
        const lines = texts.join("").match(/[^\n]*\n|[^\n]+$/g) ?? [];
        expect(last(count, ...texts)).toBe(lines.slice(-count).join(""));
      }),
    );
  });
});
