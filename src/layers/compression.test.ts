import { describe, expect, it } from "vitest";
import type { PackingRequest } from "../model/layer.ts";
import { choosePacking, completeCompression, LAYER_PACKINGS } from "./compression.ts";
import { squashfsArguments } from "./squashfs.ts";

describe("compression", () => {
  it("of layers is zstd 15 in blocks of 128 KiB by default, of snapshots zstd 3", () => {
    expect(choosePacking(LAYER_PACKINGS)).toEqual({
      format: "squashfs",
      compression: { algorithm: "zstd", level: 15, blockBytes: 131_072 },
    });
    expect(completeCompression("squashfs", "snapshot")).toEqual({ algorithm: "zstd", level: 3, blockBytes: 131_072 });
    expect(squashfsArguments(LAYER_PACKINGS.squashfs)).toEqual([
      ...["-comp", "zstd", "-Xcompression-level", "15"],
      ...["-b", "131072"],
    ]);
  });

  it("has no level where the algorithm has none", () => {
    const xz = completeCompression("squashfs", "layer", { algorithm: "xz", blockBytes: 4096 });
    expect(squashfsArguments(xz)).toEqual(["-comp", "xz", "-b", "4096"]);
  });

  it.each<[PackingRequest, object]>([
    [{ algorithm: "gzip" }, { format: "squashfs", compression: { algorithm: "gzip", level: 9, blockBytes: 65_536 } }],
    [{ algorithm: "zstd" }, { format: "squashfs", compression: { algorithm: "zstd", level: 7, blockBytes: 65_536 } }],
    [{ level: 3 }, { format: "squashfs", compression: { algorithm: "zstd", level: 3, blockBytes: 65_536 } }],
    [{ format: "erofs" }, { format: "erofs", compression: { algorithm: "lz4", level: null, blockBytes: 131_072 } }],
    [
      { format: "erofs", algorithm: "lz4", blockBytes: 4096 },
      { format: "erofs", compression: { algorithm: "lz4", level: null, blockBytes: 4096 } },
    ],
  ])("%j takes the rest from the standard of its format", (request, packing) => {
    const squashfs = { algorithm: "zstd", level: 7, blockBytes: 65_536 };
    expect(choosePacking({ ...LAYER_PACKINGS, squashfs }, request)).toEqual(packing);
  });

  it.each<[string, PackingRequest]>([
    ["algorithm", { algorithm: "-info" }],
    ["algorithm", { algorithm: "constructor" }],
    ["algorithm", { algorithm: "lz4hc" }],
    ["algorithm", { algorithm: "gzip", format: "erofs" }],
    ["level", { level: 23 }],
    ["level", { level: 1.5 }],
    ["level", { algorithm: "gzip", level: 0 }],
    ["level", { algorithm: "xz", level: 1 }],
    ["level", { format: "erofs", algorithm: "lz4hc", level: 13 }],
    ["blockBytes", { blockBytes: 100_000 }],
    ["blockBytes", { blockBytes: 2048 }],
    ["blockBytes", { blockBytes: 2_097_152 }],
    ["blockBytes", { blockBytes: Number.NaN }],
    ["blockBytes", { blockBytes: -4096 }],
  ])("refuses a wrong %s: %j", (field, request) => {
    expect(() => choosePacking(LAYER_PACKINGS, request)).toThrow(
      expect.objectContaining({ code: "input/invalid", field }),
    );
  });
});
