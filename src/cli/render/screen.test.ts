import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { clipped, Screen } from "./screen.ts";

it("a line is cut at the width, and what is painted ends all the same", () => {
  expect(clipped("abcdef", 4)).toBe("abcd");
  expect(clipped("abc", 4)).toBe("abc");
  expect(clipped("\u001b[1mNAME\u001b[22m CPU", 2)).toBe("\u001b[1mNA\u001b[22m");
  expect(clipped("äöü€", 3)).toBe("äöü");
});

it("a screen shows what fits, and gives the first screen and the cursor back", () => {
  const output = Object.assign(new PassThrough(), { rows: 2, columns: 3 });
  const screen = new Screen(output);
  expect(output.read().toString()).toBe("\u001b[?1049h\u001b[?25l");
  screen.draw("abcd\nef\nnever shown\n");
  expect(output.read().toString()).toBe("\u001b[Habc\u001b[K\r\nef\u001b[K\u001b[J");
  screen[Symbol.dispose]();
  expect(output.read().toString()).toBe("\u001b[?25h\u001b[?1049l");
});
