import { describe, expect, it } from "vitest";
import { parseVariable } from "./environment.ts";

describe("parseVariable", () => {
  it.each([
    ["A=b", ["A", "b"]],
    ["A=", ["A", ""]],
    ["A=b=c", ["A", "b=c"]],
    ["_x9= spaced ", ["_x9", " spaced "]],
    ["A=line\nline", ["A", "line\nline"]],
  ])("reads %j", (text, pair) => {
    expect(parseVariable(text, {})).toEqual(pair);
  });

  it("takes the caller's own value for a name alone", () => {
    expect(parseVariable("LANG", { LANG: "C.UTF-8" })).toEqual(["LANG", "C.UTF-8"]);
  });

  it("refuses a name alone that the caller has not set", () => {
    expect(() => parseVariable("LANG", {})).toThrow("LANG is not set here; write LANG=VALUE");
  });

  it.each(["", "=", "=b", "1A=b", "A-B=c", "A B=c", "é=1"])("refuses %j", (text) => {
    expect(() => parseVariable(text, {})).toThrow(/not a variable/);
  });
});
