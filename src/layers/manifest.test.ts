import { describe, expect, it } from "vitest";
import { formatManifest, parseManifest } from "./manifest.ts";

const MANIFEST = {
  name: "100-python",
  digest: "a".repeat(64),
  format: "squashfs",
  bytes: 4096,
  compression: { algorithm: "zstd", level: 15, blockBytes: 131_072 },
  createdAt: "2026-01-01T00:00:00.000Z",
  parents: ["b".repeat(64)],
  provenance: { kind: "directory", source: "/srv/python" },
  binds: [{ source: "/usr", target: "/usr", readOnly: true, owner: "keep" }],
};

describe("manifest", () => {
  it.each([MANIFEST, { ...MANIFEST, compression: null, binds: [], parents: [], format: "dir" }])(
    "survives being stored: %j",
    (value) => {
      const manifest = parseManifest(JSON.stringify(value));
      expect(manifest).toEqual(value);
      expect(parseManifest(formatManifest(manifest))).toEqual(manifest);
    },
  );

  it.each([
    [{ name: "../../etc" }],
    [{ digest: "A".repeat(64) }],
    [{ format: "ext4" }],
    [{ bytes: -1 }],
    [{ bytes: "4096" }],
    [{ compression: { algorithm: "zstd", level: 15 } }],
    [{ compression: { algorithm: "zstd", level: 15, blockBytes: 4096, extra: 1 } }],
    [{ createdAt: null }],
    [{ parents: ["../x"] }],
    [{ parents: {} }],
    [{ provenance: [] }],
    [{ binds: [{ source: "/usr", target: "/usr", readOnly: 1, owner: "keep" }] }],
    [{ binds: [{ source: "/usr", target: "/usr", readOnly: true, owner: "me" }] }],
    [{ surprise: true }],
  ])("refuses %j", (change) => {
    expect(() => parseManifest(JSON.stringify({ ...MANIFEST, ...change }))).toThrow();
  });

  it.each(Object.keys(MANIFEST))("refuses one without %s", (field) => {
    expect(() => parseManifest(JSON.stringify({ ...MANIFEST, [field]: undefined }))).toThrow();
  });

  it.each(["", "null", "[]", "{", '"text"'])("refuses %j", (text) => {
    expect(() => parseManifest(text)).toThrow();
  });
});
