import { describe, expect, test } from "vitest";
import { parseRate } from "./rate.ts";

describe("a rate", () => {
  test.each([
    ["600/m", 600, 60],
    ["10/s", 600, 60],
    ["60/h", 1, 1],
    ["0.5/m", 0.5, 1],
    ["600/m:5", 600, 5],
    [" 600/m ", 600, 60],
  ])("%s is %d a minute, %d at once", (text, perMinute, burst) => {
    expect(parseRate(text)).toEqual({ perMinute, burst });
  });

  test.each(["", "600", "/m", "-1/m", "0/m", "600/d", "600/m:", "600/m:0", "600/m:1.5", "x/m"])(
    "%j is refused",
    (text) => {
      expect(() => parseRate(text)).toThrow(`not a rate: ${JSON.stringify(text)}`);
    },
  );
});
