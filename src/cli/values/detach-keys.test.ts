import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { KeySequence, parseDetachKeys } from "./detach-keys.ts";

describe("a sequence of keys", () => {
  test.each([
    ["ctrl-p,ctrl-q", [0x10, 0x11]],
    ["CTRL-P", [0x10]],
    ["ctrl-@", [0]],
    ["ctrl-[", [0x1b]],
    ["ctrl-\\", [0x1c]],
    ["a,B,~", [0x61, 0x42, 0x7e]],
  ])("%s", (text, bytes) => {
    expect([...parseDetachKeys(text)]).toEqual(bytes);
  });

  test.each(["", ",", "ctrl-", "ctrl-1", "ab", "ctrl-p,", "alt-x", " "])("%j is refused", (text) => {
    expect(() => parseDetachKeys(text)).toThrow("not a sequence of keys");
  });
});

describe("the keys that are typed", () => {
  const look = (text: string) => new KeySequence(parseDetachKeys(text));

  it("pass, but for the sequence", () => {
    expect(look("ctrl-p,ctrl-q").take(Buffer.from("ab\x10\x11cd"))).toEqual({
      passed: Buffer.from("ab"),
      complete: true,
    });
  });

  it("are held back while they may begin it, and pass when they do not", () => {
    const keys = look("ctrl-p,ctrl-q");
    expect(keys.take(Buffer.from("a\x10"))).toEqual({ passed: Buffer.from("a"), complete: false });
    expect(keys.take(Buffer.from("\x10"))).toEqual({ passed: Buffer.from("\x10"), complete: false });
    expect(keys.take(Buffer.from("b"))).toEqual({ passed: Buffer.from("\x10b"), complete: false });
    expect(keys.take(Buffer.from("\x10"))).toEqual({ passed: Buffer.from(""), complete: false });
    expect(keys.take(Buffer.from("\x11"))).toEqual({ passed: Buffer.from(""), complete: true });
  });

  it("complete a sequence that begins within itself", () => {
    expect(look("a,a,b").take(Buffer.from("aaab"))).toEqual({ passed: Buffer.from("a"), complete: true });
  });

  it("pass whole and in order, however they are cut, where the sequence is not among them", () => {
    const pieces = fc.array(fc.uint8Array({ max: 3, maxLength: 5 }));
    fc.assert(
      fc.property(pieces, fc.uint8Array({ max: 3, minLength: 1, maxLength: 3 }), (given, sequence) => {
        const whole = Buffer.concat(given);
        const keys = new KeySequence(sequence);
        const taken = given.map((piece) => keys.take(piece));
        const place = whole.indexOf(sequence);
        expect(taken.some(({ complete }) => complete)).toBe(place !== -1);
        if (place !== -1) return;
        const passed = Buffer.concat(taken.map((each) => each.passed));
        expect(whole.subarray(0, passed.length)).toEqual(passed);
        expect(whole.length - passed.length).toBeLessThan(sequence.length);
      }),
    );
  });
});
