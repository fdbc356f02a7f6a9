import { describe, expect, it } from "vitest";
import type { ImageParts } from "../../../test/support/oci-image.ts";
import { layoutFiles, savedFiles, sha256 } from "../../../test/support/oci-image.ts";
import type { Platform } from "../../model/image-source.ts";
import { imageOfLayout, imageOfSaved } from "./find-image.ts";
import type { ImageFiles } from "./image-files.ts";

const AMD: Platform = { os: "linux", architecture: "amd64", variant: null };
const ARM: Platform = { os: "linux", architecture: "arm64", variant: null };

/** Files in memory. */
const filesOf = (files: ReadonlyMap<string, Buffer>): ImageFiles => ({
  async find(name) {
    const content = files.get(name);
    return (
      content && {
        bytes: content.length,
        chunks: async function* () {
          yield content;
        },
      }
    );
  },
  async [Symbol.asyncDispose]() {},
});

const image = (name?: string, more: Partial<ImageParts> = {}): ImageParts => ({
  layers: [[{ name: "f", content: name ?? "" }]],
  config: { Cmd: [name ?? "none"] },
  ...(name !== undefined && { name }),
  ...more,
});

const find = (files: ReadonlyMap<string, Buffer>, name: string | null = null, platform: Platform = AMD) =>
  imageOfLayout(filesOf(files), { image: name, platform });
const findSaved = (files: ReadonlyMap<string, Buffer>, name: string | null = null) =>
  imageOfSaved(filesOf(files), { image: name, platform: AMD });

const changed = (files: Map<string, Buffer>, name: string, change: (fields: Record<string, unknown>) => void) => {
  const fields = JSON.parse(String(files.get(name)));
  change(fields);
  return files.set(name, Buffer.from(JSON.stringify(fields)));
};
/** With another manifest, its digest corrected. */
function withManifest(change: (fields: { config: object; layers: object[] }) => void): Map<string, Buffer> {
  const files = layoutFiles(image("a"));
  const index = JSON.parse(String(files.get("index.json")));
  const name = `blobs/${index.manifests[0].digest.replace(":", "/")}`;
  const manifest = JSON.parse(String(files.get(name)));
  change(manifest);
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = sha256(bytes);
  files.set(`blobs/${digest.replace(":", "/")}`, bytes);
  return changed(files, "index.json", (fields) => {
    fields.manifests = [{ mediaType: manifest.mediaType, digest, size: bytes.length }];
  });
}

describe("an image in the OCI layout", () => {
  it("is the only one, or the one of a name", async () => {
    expect((await find(layoutFiles(image("a")))).config.cmd).toEqual(["a"]);
    expect((await find(layoutFiles(image("a"), image("b")), "b")).config.cmd).toEqual(["b"]);
    await expect(find(layoutFiles(image("a"), image("b")))).rejects.toThrow("several images; there are a, b");
    await expect(find(layoutFiles(image("a")), "b")).rejects.toThrow("no image b; there are a");
  });

  it("is the one for a platform, also below an index", async () => {
    const two = layoutFiles(image("a"), image("a", { architecture: "arm64", config: { Cmd: ["arm"] } }));
    expect((await find(two, "a")).config.cmd).toEqual(["a"]);
    expect((await find(two, null, ARM)).config.cmd).toEqual(["arm"]);
    const inner = two.get("index.json") ?? Buffer.alloc(0);
    two.set(`blobs/${sha256(inner).replace(":", "/")}`, inner);
    const nested = changed(two, "index.json", (fields) => {
      const mediaType = "application/vnd.oci.image.index.v1+json";
      fields.manifests = [{ mediaType, digest: sha256(inner), size: inner.length }];
    });
    expect((await find(nested, null, ARM)).config.cmd).toEqual(["arm"]);
    await expect(find(nested, null, { ...AMD, architecture: "s390x" })).rejects.toThrow("nothing for linux/s390x");
    await expect(find(layoutFiles(image("a")), "a", ARM)).rejects.toThrow("for linux/amd64, and linux/arm64 is wanted");
  });

  it.each<[string, () => Map<string, Buffer>, string]>([
    ["nothing at all", () => new Map(), "it has no oci-layout"],
    [
      "another version",
      () => changed(layoutFiles(image()), "oci-layout", (f) => (f.imageLayoutVersion = "2")),
      "unknown version",
    ],
    ["no JSON", () => layoutFiles(image()).set("index.json", Buffer.from("{")), "index.json is no JSON"],
    ["no object", () => layoutFiles(image()).set("index.json", Buffer.from("null")), "malformed"],
    ["a large index", () => layoutFiles(image()).set("index.json", Buffer.alloc(5_000_000)), "5000000 bytes"],
    [
      "an unknown digest",
      () => changed(layoutFiles(image()), "index.json", (f) => (f.manifests = [{ digest: "md5:../x", size: 1 }])),
      "only sha256",
    ],
    [
      "an artifact",
      () => withManifest((f) => Object.assign(f.config, { mediaType: "application/x" })),
      "no file system",
    ],
    [
      "the first schema",
      () =>
        withManifest((f) => Object.assign(f, { mediaType: "application/vnd.docker.distribution.manifest.v1+json" })),
      "several images",
    ],
    [
      "a layer of another size",
      () => withManifest((f) => Object.assign(f.layers[0] ?? {}, { size: 1 })),
      "1 are declared",
    ],
    [
      "a layer that is not there",
      () => withManifest((f) => Object.assign(f.layers[0] ?? {}, { digest: sha256(Buffer.from("x")) })),
      "is not there",
    ],
    [
      "a layer without its diff_id",
      () => withManifest((f) => Object.assign(f, { layers: [...f.layers, ...f.layers] })),
      "2 layers and 1 diff_ids",
    ],
    ["no layers", () => layoutFiles(image("a", { layers: [] })), "no layers"],
  ])("is refused with %s", async (_what, files, message) => {
    await expect(find(files())).rejects.toMatchObject({
      code: "image/invalid",
      message: expect.stringContaining(message),
    });
  });

  it("is refused where a file is not what its digest says", async () => {
    const files = layoutFiles(image("a"));
    for (const [name, content] of files) {
      // Layers are read later, and compared then.
      if (!name.startsWith("blobs/") || content[0] !== "{".charCodeAt(0)) continue;
      const damaged = new Map(files).set(name, Buffer.from(`${content} `));
      await expect(find(damaged)).rejects.toThrow("does not match its digest");
    }
  });

  it("ends where an index refers to itself without end", async () => {
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const files = layoutFiles(image());
    let inner = Buffer.from('{"manifests":[]}');
    for (let depth = 0; depth < 6; depth++) {
      files.set(`blobs/${sha256(inner).replace(":", "/")}`, inner);
      inner = Buffer.from(JSON.stringify({ manifests: [{ mediaType, digest: sha256(inner), size: inner.length }] }));
    }
    await expect(find(files.set("index.json", inner))).rejects.toThrow("nested more than 4 deep");
  });
});

describe("an image that was saved", () => {
  it("is the only one, or the one of a name", async () => {
    const { config, layers } = await findSaved(savedFiles(image("my/app:1")), "my/app:1");
    expect(config.cmd).toEqual(["my/app:1"]);
    expect(layers).toEqual([{ file: "0/layer.tar", digest: null }]);
    expect((await findSaved(savedFiles(image("app:latest")), "app")).config.cmd).toEqual(["app:latest"]);
    await expect(findSaved(savedFiles(image("app:1")), "app")).rejects.toThrow("no image app; there are app:1");
  });

  it("is refused where it is for another machine, or says what is not there", async () => {
    await expect(findSaved(savedFiles(image("a", { architecture: "arm64" })))).rejects.toThrow("it is for linux/arm64");
    const files = savedFiles(image("a"));
    files.delete("config.json");
    await expect(findSaved(files)).rejects.toThrow("it has no config.json");
    await expect(findSaved(files.set("manifest.json", Buffer.from("[{}]")))).rejects.toThrow("malformed");
  });
});
