import { describe, expect, it } from "vitest";
import type { LayerName } from "../model/ids.ts";
import { parseLayerName } from "../model/ids.ts";
import { matchLayerName, stackOrder } from "./layer-names.ts";

const known = (...names: string[]): ReadonlySet<LayerName> => new Set(names.map((name) => parseLayerName(name)));

describe("layer names", () => {
  it.each([
    ["100-python", "100-python"],
    ["python", "100-python"],
    ["200-x", "300-200-x"],
  ])("finds %s as %s", (text, name) => {
    expect(matchLayerName(text, known("000-host", "100-python", "300-200-x"))).toBe(name);
  });

  it.each(["../100-python", "100-python/", "100-Python", "", ".", "..", "a".repeat(80), "100-python\n", "\0"])(
    "refuses %j",
    (text) => {
      expect(() => matchLayerName(text, known("100-python"))).toThrow(
        expect.objectContaining({ code: "input/invalid" }),
      );
    },
  );

  it("takes the whole name before a part of another one", () => {
    expect(matchLayerName("200-x", known("200-x", "300-200-x"))).toBe("200-x");
  });

  it("sorts by number and keeps the order within one", () => {
    const names = [...known("500-desktop", "000-host", "100-b", "100-a")];
    expect(names.sort(stackOrder)).toEqual(["000-host", "100-b", "100-a", "500-desktop"]);
  });
});
