import { describe, expect, it } from "vitest";
import { parseCompression } from "./compression.ts";

describe("parseCompression", () => {
  it.each([
    ["lz4", { algorithm: "lz4" }],
    ["zstd:19", { algorithm: "zstd", level: 19 }],
  ])("reads %s", (text, compression) => {
    expect(parseCompression(text)).toEqual(compression);
  });

  it.each(["", "zstd:", ":3", "zstd:-1", "zstd:1.5", "zstd 3", "-Xhc"])("refuses %j", (text) => {
    expect(() => parseCompression(text)).toThrow(expect.objectContaining({ code: "input/invalid" }));
  });
});
