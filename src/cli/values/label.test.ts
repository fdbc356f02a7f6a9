import { describe, expect, it } from "vitest";
import { parseLabel, parseLabelChange, parseWantedLabel } from "./label.ts";

const refused = expect.objectContaining({ code: "input/invalid" });

describe("a label", () => {
  it.each([
    ["team=red", ["team", "red"]],
    ["a=", ["a", ""]],
    ["a=b=c", ["a", "b=c"]],
    ["example.com/tier-2_x=1", ["example.com/tier-2_x", "1"]],
  ])("%s is %j", (text, label) => {
    expect(parseLabel(text)).toEqual(label);
  });

  it.each(["team", "=x", "-a=x", "a-=x", "a b=x", `${"k".repeat(64)}=x`, ""])("is not %j", (text) => {
    expect(() => parseLabel(text)).toThrow(refused);
  });

  it("is wanted with its value, or with any", () => {
    expect(parseWantedLabel("team=red")).toEqual(["team", "red"]);
    expect(parseWantedLabel("team=")).toEqual(["team", ""]);
    expect(parseWantedLabel("team")).toEqual(["team", true]);
    expect(() => parseWantedLabel("te am")).toThrow(refused);
  });

  it("is set by key=value and taken away by key-", () => {
    expect(parseLabelChange("team=red-")).toEqual(["team", "red-"]);
    expect(parseLabelChange("team-")).toEqual(["team", null]);
    for (const text of ["team", "-", "te am-"]) expect(() => parseLabelChange(text)).toThrow(refused);
  });
});
