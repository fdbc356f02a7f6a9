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

const OF_AN_IMAGE = {
  ...MANIFEST,
  provenance: {
    ...{ kind: "image", source: "docker://registry/python", commands: [["skopeo", "copy"]], hosts: ["registry"] },
    inputs: [{ kind: "image", name: "docker://registry/python", digest: `sha256:${"c".repeat(64)}` }],
  },
  config: {
    ...{ env: { PATH: "/bin" }, workingDir: "/srv", user: null, entrypoint: [], cmd: ["python3"] },
    ...{ exposedPorts: ["80/tcp"], labels: { a: "b" } },
  },
};

describe("manifest", () => {
  it.each([MANIFEST, OF_AN_IMAGE, { ...MANIFEST, compression: null, binds: [], parents: [], format: "dir" }])(
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
    [{ provenance: { ...OF_AN_IMAGE.provenance, commands: ["skopeo"] } }],
    [{ provenance: { ...OF_AN_IMAGE.provenance, inputs: [{ kind: "other", name: "a", digest: "b" }] } }],
    [{ config: null }],
    [{ config: { ...OF_AN_IMAGE.config, env: ["A=b"] } }],
    [{ config: { ...OF_AN_IMAGE.config, cmd: "sh" } }],
    [{ config: { ...OF_AN_IMAGE.config, surprise: true } }],
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
