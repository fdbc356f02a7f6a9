import { describe, expect, it } from "vitest";
import * as z from "zod";
import { readQuery } from "./query.ts";

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
    const url = "/x?label=1&limit=2&label=a%3Db&state=true";
    expect({ ...readQuery(url, query) }).toEqual({ label: ["1", "a=b"], limit: 2, state: ["true"] });
    expect(() => readQuery("/x?limit=1&limit=1", query)).toThrow(expect.objectContaining({ field: "limit" }));
  });

  it("takes 1 and 0 for a boolean, and for nothing else", () => {
    const query = z.strictObject({ follow: z.exactOptional(z.boolean()), all: z.boolean(), count: z.int() });
    expect({ ...readQuery("/x?follow=1&all=0&count=1", query) }).toEqual({ follow: true, all: false, count: 1 });
    expect({ ...readQuery("/x?follow=2&all=01&count=0", query) }).toEqual({ follow: 2, all: "01", count: 0 });
  });

  it("has no inherited names", () => {
    expect(readQuery("/x?__proto__=1&toString=2")).toMatchObject({ toString: 2 });
  });
});
