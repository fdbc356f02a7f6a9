import { expect, test } from "vitest";
import { oneOf } from "./one-of.ts";

test("one of the words is itself", () => {
  expect(oneOf(["a", "b"])("b")).toBe("b");
});

test.each(["", "A", "a ", "ab"])("%j is refused with what may be given", (text) => {
  expect(() => oneOf(["a", "b"])(text)).toThrow(`must be one of a, b, not ${JSON.stringify(text)}`);
});
