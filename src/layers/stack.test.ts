import { describe, expect, it } from "vitest";
import type { Digest } from "../model/ids.ts";
import { parseLayerName } from "../model/ids.ts";
import type { LayerManifest } from "../model/layer.ts";
import { stackOf } from "./stack.ts";

const digest = (character: string): Digest => character.repeat(64) as Digest;

function layer(name: string, character: string, ...parents: readonly LayerManifest[]): LayerManifest {
  const inputs = parents.map((parent) => ({
    ...{ kind: "layer" as const, name: parent.name, digest: `sha256:${parent.digest}` },
  }));
  return {
    ...{ name: parseLayerName(name), digest: digest(character), format: "squashfs", bytes: 1, compression: null },
    ...{ createdAt: "2026-01-01T00:00:00.000Z", binds: [], parents: parents.map((parent) => parent.digest) },
    provenance: { kind: "directory", source: "/", inputs },
  };
}

/** @param stored all there are; the last one of a name has it */
const known = (...stored: readonly LayerManifest[]) => ({
  find: async (wanted: Digest) => stored.find((each) => each.digest === wanted),
  current: (name: string) => stored.findLast((each) => each.name === name)?.digest,
});

async function stack(asked: readonly LayerManifest[], stored: readonly LayerManifest[]) {
  const { layers, warnings } = await stackOf(asked, known(...stored));
  return { layers: layers.map((each) => each.digest.slice(0, 1)).join(""), warnings };
}

const base = layer("000-base", "a");
const newBase = layer("000-base", "b");
const tool = layer("100-tool", "c", base);
const app = layer("200-app", "d", tool);

describe("a stack of layers", () => {
  it("has what they were made on below them, once", async () => {
    expect(await stack([app], [base, tool, app])).toEqual({ layers: "acd", warnings: [] });
    expect(await stack([base, app, tool], [base, tool, app])).toEqual({ layers: "adc", warnings: [] });
    expect(await stack([layer("300-x", "e", tool, base), app], [base, tool, app])).toEqual({
      layers: "aced",
      warnings: [],
    });
  });

  it("keeps what they were made on where its name means another by now, and says so", async () => {
    expect(await stack([app], [base, newBase, tool, app])).toEqual({
      layers: "acd",
      warnings: [
        "100-tool was made on 000-base aaaaaaaaaaaa, which is bbbbbbbbbbbb now; build it again to have what changed",
      ],
    });
  });

  it("has what was asked for in its place, and says so", async () => {
    const warnings = ["100-tool was made on 000-base aaaaaaaaaaaa, and stands on bbbbbbbbbbbb here"];
    expect(await stack([newBase, tool], [base, newBase, tool])).toEqual({ layers: "bc", warnings });
    expect(await stack([tool, newBase], [newBase, tool])).toEqual({ layers: "cb", warnings });
  });

  it("has what has its name now where it is gone, and says so", async () => {
    expect(await stack([tool], [newBase, tool])).toEqual({
      layers: "bc",
      warnings: [
        "100-tool was made on 000-base aaaaaaaaaaaa, which is bbbbbbbbbbbb now; build it again to have what changed",
      ],
    });
  });

  it("says what is gone without a trace", async () => {
    const warnings = ["100-tool was made on 000-base aaaaaaaaaaaa, which is gone"];
    expect(await stack([tool], [tool])).toEqual({ layers: "c", warnings });
    const nameless = { ...tool, provenance: { kind: "directory", source: "/" } };
    expect(await stack([nameless], [base, nameless])).toEqual({ layers: "ac", warnings: [] });
    expect((await stack([nameless], [nameless])).warnings).toEqual([
      "100-tool was made on a layer aaaaaaaaaaaa, which is gone",
    ]);
  });

  it("ends where layers say that they were made on one another", async () => {
    const [one, two] = [layer("100-one", "e"), layer("100-two", "f")];
    const circle = [
      { ...one, parents: [two.digest] },
      { ...two, parents: [one.digest] },
    ];
    expect((await stack(circle.slice(0, 1), circle)).layers).toBe("fe");
  });
});
