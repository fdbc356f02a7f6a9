import { describe, expect, it } from "vitest";
import { compressionArguments, LAYER_COMPRESSION } from "./compression.ts";

describe("compression", () => {
  it("is zstd 15 in blocks of 128 KiB by default", () => {
    expect(compressionArguments(LAYER_COMPRESSION)).toEqual([
      ...["-comp", "zstd", "-Xcompression-level", "15"],
      ...["-b", "131072"],
    ]);
  });

  it("has no level where the algorithm has none", () => {
    expect(compressionArguments({ algorithm: "xz", level: null, blockBytes: 4096 })).toEqual([
      "-comp",
      "xz",
      "-b",
      "4096",
    ]);
  });

  it.each([
    ["algorithm", { algorithm: "-info", level: null, blockBytes: 4096 }],
    ["level", { algorithm: "zstd", level: 23, blockBytes: 4096 }],
    ["level", { algorithm: "zstd", level: 1.5, blockBytes: 4096 }],
    ["level", { algorithm: "gzip", level: 0, blockBytes: 4096 }],
    ["level", { algorithm: "xz", level: 1, blockBytes: 4096 }],
    ["blockBytes", { algorithm: "zstd", level: 3, blockBytes: 100_000 }],
    ["blockBytes", { algorithm: "zstd", level: 3, blockBytes: 2048 }],
    ["blockBytes", { algorithm: "zstd", level: 3, blockBytes: 2_097_152 }],
    ["blockBytes", { algorithm: "zstd", level: 3, blockBytes: Number.NaN }],
    ["blockBytes", { algorithm: "zstd", level: 3, blockBytes: -4096 }],
  ])("refuses a wrong %s: %j", (field, compression) => {
    const refusal = expect.objectContaining({ code: "input/invalid", field: `compression.${field}` });
    expect(() => compressionArguments(compression)).toThrow(refusal);
  });
});
