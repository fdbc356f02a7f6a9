import { describe, expect, it } from "vitest";
import * as z from "zod";
import { listsOf, readQuery } from "./query.ts";

describe("a query", () => {
  it("gives whole numbers and booleans as what they are", () => {
    expect({ ...readQuery("/x?a=0&b=42&c=true&d=false") }).toEqual({ a: 0, b: 42, c: true, d: false });
  });

  it.each(["-1", "01", "1.5", "1e3", " 1", "0x10", "", "TRUE", "9".repeat(17)])("leaves %j as text", (text) => {
    expect(readQuery(`/x?a=${encodeURIComponent(text)}`).a).toBe(text);
  });

  it("is empty where there is none", () => {
    expect(Object.keys(readQuery("/x"))).toEqual([]);
    expect(Object.keys(readQuery("/x?"))).toEqual([]);
  });

  it("refuses a name that comes twice", () => {
    expect(() => readQuery("/x?a=1&a=1")).toThrow(expect.objectContaining({ code: "input/invalid", field: "a" }));
  });

  it("gives a name that may come several times as a list of texts", () => {
    const query = z.strictObject({
      label: z.exactOptional(z.array(z.string())),
      state: z.array(z.string()),
      limit: z.exactOptional(z.int()),
    });
    const lists = listsOf(query);
    expect([...lists]).toEqual(["label", "state"]);
    expect({ ...readQuery("/x?label=1&limit=2&label=a%3Db", lists) }).toEqual({ label: ["1", "a=b"], limit: 2 });
    expect(() => readQuery("/x?limit=1&limit=1", lists)).toThrow(expect.objectContaining({ field: "limit" }));
  });

  it("has no inherited names", () => {
    expect(readQuery("/x?__proto__=1&toString=2")).toMatchObject({ toString: 2 });
  });
});
