import { execFile, execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { BLOCK, formatHeader } from "../../src/layers/tar/tar-header.ts";
import { sha256 } from "../support/built-cli.ts";
import { runCli } from "../support/cli-context.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const run = promisify(execFile);
const pair = generateKeyPairSync("ed25519");
const stranger = generateKeyPairSync("ed25519");

let work: string;
/** Where layers are made, and another machine that they are brought to. */
let home: TestDaemon;
let away: TestDaemon;
/** `101-child` on `100-base`, in one file. */
let archive: string;

const storedBy = ({ config }: TestDaemon) =>
  readdirSync(join(config.stateDir, "layers")).filter((file) => /^[.0-9a-f]/.test(file));
const cli = ({ config }: TestDaemon, ...args: readonly string[]) =>
  runCli(args, {
    env: { PLYBOX_SOCKET: config.socket, PLYBOX_STATE_DIR: config.stateDir, PLYBOX_RUN_DIR: join(work, "run") },
  });
const keyFile = (name: string, content: string | Buffer): string => {
  writeFileSync(join(work, name), content);
  return join(work, name);
};

function treeOf(name: string, files: Readonly<Record<string, string>>): string {
  const tree = join(work, name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(tree, path, ".."), { recursive: true });
    writeFileSync(join(tree, path), content);
  }
  return tree;
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), "plybox-portable-"));
  home = new TestDaemon();
  away = new TestDaemon();
  await Promise.all([home.start(), away.start()]);
  const tar = (tree: string) => execFileSync("tar", ["-C", tree, "-cf", "-", "."]);
  await home.client.layers.build("100-base", tar(treeOf("base", { "opt/base": "base\n", "opt/gone": "" })));
  const child = treeOf("child", { "opt/child": "child\n", "opt/.wh.gone": "" });
  await home.client.layers.build("101-child", tar(child), { parents: ["base"] });
  archive = join(work, "layers.tar");
  const { exitCode, stderr } = await cli(home, "layer", "export", "child", "--parents", "-o", archive);
  expect([exitCode, stderr]).toEqual([0, ""]);
});
afterAll(async () => {
  await Promise.all([home, away].map((daemon) => daemon[Symbol.asyncDispose]()));
  rmSync(work, { recursive: true, force: true });
});

/** The entries of the archive, to be put together in another way. */
function entriesOf(bytes: Buffer): Map<string, Buffer> {
  const entries = new Map<string, Buffer>();
  for (let at = 0; bytes[at] !== 0; ) {
    const name = bytes.toString("latin1", at, bytes.indexOf(0, at));
    const size = Number.parseInt(bytes.toString("latin1", at + 124, at + 135), 8);
    entries.set(name, bytes.subarray(at + BLOCK, at + BLOCK + size));
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return entries;
}

function archiveOf(entries: Iterable<readonly [string, Buffer]>, type = "0"): Buffer {
  const parts = [...entries].flatMap(([name, content]) => [
    formatHeader({
      name,
      size: content.length,
      type,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
      link: "x",
      major: 0,
      minor: 0,
    }),
    content,
    Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

describe("layers in one file", () => {
  it("come with their parents, run on another machine, and give the same file there", async () => {
    const layers = await away.client.layers.import(createReadStream(archive));
    expect(layers.map(({ name }) => name)).toEqual(["100-base", "101-child"]);
    for (const { name, digest, parents, provenance, createdAt } of layers) {
      const original = await home.client.layers.get(name);
      expect({ digest, parents, provenance, createdAt }).toEqual({
        digest: original.digest,
        parents: original.parents,
        provenance: original.provenance,
        createdAt: original.createdAt,
      });
    }
    await using sandbox = await away.client.create({ layers: ["busybox", "base", "child"] });
    const { stdout } = await sandbox.exec("cat /opt/base /opt/child; ls /opt", { cwd: "/" });
    expect(stdout).toBe("base\nchild\nbase\nchild\n");
    const pieces: Uint8Array[] = [];
    for await (const piece of await away.client.layers.export(["child"], { parents: true })) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(readFileSync(archive))).toBe(true);
    // Again changes nothing.
    const before = storedBy(away);
    await away.client.layers.import(createReadStream(archive));
    expect(storedBy(away)).toEqual(before);
  });

  it("are an OCI layout that skopeo reads and copies, and come back from its copy", async () => {
    const { stdout } = await run("skopeo", ["inspect", "--raw", `oci-archive:${archive}:101-child`]);
    const { digest, bytes } = await home.client.layers.get("child");
    expect(JSON.parse(stdout)).toMatchObject({
      artifactType: "application/vnd.plybox.layer.v1",
      layers: [
        { mediaType: "application/vnd.plybox.layer.image.v1.squashfs", digest: `sha256:${digest}`, size: bytes },
      ],
    });
    const copy = join(work, "copied.tar");
    const insecure = "--insecure-policy";
    await run("skopeo", [insecure, "copy", "-q", `oci-archive:${archive}:100-base`, `oci-archive:${copy}:100-base`]);
    await using other = new TestDaemon();
    await other.start();
    const { exitCode, stdout: shown } = await cli(other, "layer", "import", copy);
    expect([exitCode, shown]).toEqual([0, expect.stringMatching(/^100-base {3}.* {3}sha256:[0-9a-f]{64}\n$/)]);
  });

  it("need no daemon, and go through pipes", async () => {
    const env = { PLYBOX_STATE_DIR: join(work, "alone"), PLYBOX_RUN_DIR: join(work, "run") };
    const made = await runCli(["layer", "import", archive, "--json"], { env });
    expect(JSON.parse(made.stdout)).toHaveLength(2);
    const exported = await runCli(["layer", "export", "base", "-o", join(work, "again.tar")], { env });
    expect(exported).toMatchObject({ exitCode: 0, stderr: "" });
    expect(entriesOf(readFileSync(join(work, "again.tar"))).size).toBe(5);
    const nowhere = await runCli(["layer", "export", "base", "-o", join(work, "no/such/file")], { env });
    expect(nowhere.exitCode).toBe(125);
  });

  it("stay here where they show this machine's own files, and bring no name of ours", async () => {
    await expect(home.client.layers.export(["host"])).rejects.toMatchObject({
      code: "input/invalid",
      message: expect.stringContaining("shows this machine's own files"),
    });
    await expect(home.client.layers.export(["nobody"])).rejects.toMatchObject({ code: "layer/not-found" });
  });

  it("are refused where a name has other content, unless it is replaced", async () => {
    await using other = new TestDaemon();
    await other.start();
    const { digest } = await other.client.layers.build("101-child", Buffer.alloc(2 * BLOCK));
    await expect(other.client.layers.import(createReadStream(archive))).rejects.toMatchObject({ code: "layer/exists" });
    expect(storedBy(other)).toEqual([digest]);
    await other.client.layers.import(createReadStream(archive), { replace: true });
    expect(storedBy(other)).not.toContain(digest);
  });

  const altered = (change: (entries: Map<string, Buffer>) => void): Buffer => {
    const entries = entriesOf(readFileSync(archive));
    change(entries);
    return archiveOf(entries);
  };
  const largest = (entries: Map<string, Buffer>): string =>
    [...entries].sort(([, a], [, b]) => b.length - a.length)[0]?.[0] ?? "";

  it.each<[string, () => Buffer, string]>([
    ["is cut off", () => readFileSync(archive).subarray(0, -4000), "it is cut off"],
    ["is empty", () => Buffer.alloc(0), "it is cut off"],
    ["holds nothing", () => Buffer.alloc(2 * BLOCK), "it has no index.json"],
    ["is no archive", () => Buffer.alloc(4096, "x"), "checksum is wrong"],
    [
      "has an image with one other byte",
      () =>
        altered((entries) => {
          const name = largest(entries);
          const image = Buffer.from(entries.get(name) ?? "");
          image[1000] = (image[1000] ?? 0) ^ 1;
          entries.set(name, image);
        }),
      "does not match its digest",
    ],
    ["lacks an image", () => altered((entries) => void entries.delete(largest(entries))), "is missing"],
    [
      "has a name that leads out",
      () => altered((entries) => void entries.set("../../../../tmp/plybox-escaped", Buffer.from("x"))),
      '"../../../../tmp/plybox-escaped" has no place in it',
    ],
    ["has a link", () => archiveOf([["blobs/sha256/link", Buffer.alloc(0)]], "2"), "is no file"],
    ["has an index that is none", () => archiveOf([["index.json", Buffer.from("[]")]]), "its index is malformed"],
    [
      "has a huge index",
      () => archiveOf([["index.json", Buffer.alloc(1024 * 1024 + 1, " ")]]),
      '"index.json" has 1048577 bytes',
    ],
  ])("are refused when the file %s, by name, and leave nothing", async (_what, bytes, message) => {
    const before = storedBy(away);
    await expect(away.client.layers.import(bytes())).rejects.toMatchObject({
      code: "file/bad-archive",
      status: 422,
      message: expect.stringContaining(message),
    });
    expect(storedBy(away)).toEqual(before);
    expect(readdirSync("/tmp")).not.toContain("plybox-escaped");
  });

  it("are refused when a manifest says what is not so of its image", async () => {
    const { digest } = await home.client.layers.get("base");
    const { manifest } = await home.client.layers.signatures("base");
    const alone = join(work, "alone.tar");
    await cli(home, "layer", "export", "base", "-o", alone);
    const ordered = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(ordered)
        : typeof value !== "object" || value === null
          ? value
          : Object.fromEntries(
              Object.entries(value)
                .sort()
                .map(([key, field]) => [key, ordered(field)]),
            );
    /** The archive with another manifest, every digest in it right again. */
    const told = (change: object): Buffer => {
      const entries = entriesOf(readFileSync(alone));
      const old = [...entries].find(([, bytes]) => bytes.toString().includes('"createdAt"'))?.[0] ?? "";
      const config = Buffer.from(JSON.stringify(ordered({ ...manifest, ...change })));
      const artifact = [...entries].find(([, bytes]) => bytes.toString().includes('"artifactType"'))?.[0] ?? "";
      const swap = (text: string, from: string, bytes: Buffer) =>
        text.replace(from.slice(-64), sha256(bytes)).replace(/("size":)\d+/, `$1${bytes.length}`);
      const newArtifact = Buffer.from(swap(String(entries.get(artifact)), old, config));
      const index = Buffer.from(swap(String(entries.get("index.json")), artifact, newArtifact));
      return archiveOf([
        ["index.json", index],
        [`blobs/sha256/${sha256(config)}`, config],
        [`blobs/sha256/${sha256(newArtifact)}`, newArtifact],
        [`blobs/sha256/${digest}`, entries.get(`blobs/sha256/${digest}`) ?? Buffer.alloc(0)],
      ]);
    };
    const before = storedBy(away);
    const bind = { source: "/etc", target: "/etc", readOnly: true, owner: "keep" };
    for (const [change, message] of [
      [{ binds: [bind] }, "shows another machine's own files"],
      [{ name: "000-host" }, "shows another machine's own files"],
      [{ name: "../../escape" }, '"100-base": '],
      [{ format: "erofs" }, "its manifest says erofs"],
      [{ bytes: 1 }, "its manifest is of another image"],
      [{ surprise: true }, 'unknown field "surprise"'],
    ] as const) {
      await expect(away.client.layers.import(told(change))).rejects.toMatchObject({
        message: expect.stringContaining(message),
      });
    }
    expect(storedBy(away)).toEqual(before);
    await expect(away.client.layers.import(told({}))).resolves.toHaveLength(1);
  });

  it("are refused when they are larger than is allowed, and leave nothing", async () => {
    const storeDirectory = join(work, "small");
    const small = new LayerStore({
      ...{ storeDirectory, mountDirectory: join(work, "mounts"), unpack: true, log: console },
      mounter: { mountImage: async () => {}, unmount: async () => {} },
      bounds: { inodes: 1000, unpackedBytes: 4096 },
    });
    await expect(small.transfer.import(createReadStream(archive))).rejects.toMatchObject({ code: "layer/too-large" });
    expect(readdirSync(storeDirectory).sort()).toEqual(["names", "pins"]);
  });

  it("leave nothing of an upload that breaks off, and the daemon serves on", async () => {
    const before = storedBy(away);
    const bytes = readFileSync(archive);
    async function* cut(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 5000);
      throw new Error("the line is cut");
    }
    await expect(away.client.layers.import(cut())).rejects.toThrow();
    await expect.poll(() => storedBy(away)).toEqual(before);
  });

  it("are cut off rather than damaged when an image changes under the daemon", async () => {
    await using other = new TestDaemon();
    await other.start();
    const [{ digest } = { digest: "" }] = await other.client.layers.import(createReadStream(archive));
    const image = join(other.config.stateDir, "layers", digest, "image.squashfs");
    const bytes = readFileSync(image);
    bytes[500] = (bytes[500] ?? 0) ^ 1;
    writeFileSync(image, bytes);
    await expect(other.client.layers.export(["base"])).rejects.toMatchObject({ code: "layer/corrupt" });
  });
});

describe("layers as an image for container engines", () => {
  let image: string;
  const script = `set -e; cd "$1"; mkdir -p opt/kept opt/opaque dev; echo hello > opt/file; ln opt/file opt/twin
    chown 1000:65535 opt/file; chmod 4751 opt/file; ln -s /etc/passwd opt/link; mkfifo opt/pipe; mknod dev/zero c 1 5
    touch -d @1000000000 opt/kept; setfattr -n user.odd -v 'a=b' opt/file 2>/dev/null ||
      python3 -c "import os; os.setxattr('opt/file', 'user.odd', b'a=b')"
    mkdir -p "$(printf %0200d 1)/$(printf %0200d 2)"`;

  beforeAll(async () => {
    const lower = treeOf("image-lower", { "opt/gone": "", "opt/opaque/old": "" });
    await run("bash", ["-c", script, "bash", lower]);
    const upper = treeOf("image-upper", { "opt/.wh.gone": "", "opt/opaque/.wh..wh..opq": "", "opt/opaque/new": "" });
    for (const [name, tree, parents] of [
      ["110-lower", lower, []],
      ["111-upper", upper, ["lower"]],
    ] as const) {
      const tar = execFileSync("tar", ["-C", tree, "--xattrs", "-cf", "-", "."]);
      await home.client.layers.build(name, tar, { parents });
    }
    image = join(work, "image.tar");
    const args = ["layer", "export", "upper", "--parents", "--as", "image", "-o", image];
    expect(await cli(home, ...args)).toMatchObject({ exitCode: 0, stderr: "" });
  });

  it("are taken by skopeo, which checks every digest and what the layers unpack to", async () => {
    const { stdout } = await run("skopeo", ["inspect", "--config", `oci-archive:${image}`]);
    const config = JSON.parse(stdout);
    expect(config).toMatchObject({ os: "linux", rootfs: { type: "layers" } });
    expect(config.history.map(({ created_by }: { created_by: string }) => created_by)).toEqual([
      ...["plybox layer 110-lower", "plybox layer 111-upper"],
    ]);
    const copy = join(work, "docker.tar");
    await run("skopeo", [
      "--insecure-policy",
      "copy",
      "-q",
      `oci-archive:${image}`,
      `docker-archive:${copy}:plybox:test`,
    ]);
    const { stdout: listed } = await run("tar", ["-tf", copy]);
    // A docker archive names each layer by what it unpacks to.
    for (const diffId of config.rootfs.diff_ids) expect(listed).toContain(`${diffId.slice("sha256:".length)}.tar`);
  });

  it("have in their archives what was in the layers, removals told by name", async () => {
    const entries = entriesOf(readFileSync(image));
    const archives = [...entries.values()].filter((bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b);
    const [lower = Buffer.alloc(0), upper = Buffer.alloc(0)] = archives;
    const list = (archive: Buffer) =>
      execFileSync("tar", ["-tvzf", "-", "--numeric-owner"], { input: archive }).toString();
    expect(list(upper).match(/\S+$/gm)).toEqual([
      ...["opt", "opt/.wh.gone", "opt/opaque", "opt/opaque/.wh..wh..opq", "opt/opaque/new"],
    ]);
    expect(list(lower)).toMatch(/^-rwsr-x--x 1000\/65535 +6 .* opt\/file$/m);
    expect(list(lower)).toMatch(/^hrwsr-x--x .* opt\/twin link to opt\/file$/m);
    expect(list(lower)).toMatch(/^crw-.* 1,5 .* dev\/zero$/m);
    expect(list(lower)).toMatch(/ opt\/link -> \/etc\/passwd$/m);
    expect(execFileSync("tar", ["-xzOf", "-", "opt/file"], { input: lower }).toString()).toBe("hello\n");
  });

  it("are the same image whenever they are exported, and come back as a layer that shows the same", async () => {
    const pieces: Uint8Array[] = [];
    const options = { parents: true, as: "image" } as const;
    for await (const piece of await home.client.layers.export(["upper"], options)) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(readFileSync(image))).toBe(true);
    await expect.poll(() => storedBy(home).filter((file) => file.startsWith("."))).toEqual([]);
    const back = await cli(home, "layer", "build", "112-back", "--from", `oci-archive:${image}`);
    expect([back.exitCode, back.stderr]).toEqual([0, ""]);
    await using apart = await home.client.create({ layers: ["busybox", "lower", "upper"] });
    await using together = await home.client.create({ layers: ["busybox", "back"] });
    const seen = "cd /; find opt dev/zero | sort | xargs stat -c '%n %f %u:%g %h %N'; cat opt/twin";
    const expected = (await apart.exec(seen, { cwd: "/" })).stdout;
    expect(expected).toContain("opt/opaque/new");
    expect(expected).not.toContain("opt/gone");
    expect((await together.exec(seen, { cwd: "/" })).stdout).toBe(expected);
  });
});

describe("signatures", () => {
  it("are made with a key of the client, and go with the layer wherever it goes", async () => {
    const key = keyFile("sign.pem", pair.privateKey.export({ type: "pkcs8", format: "pem" }));
    const { stdout, exitCode } = await cli(home, "sign", "base", "child", "--sign-key", key, "--json");
    expect(exitCode).toBe(0);
    const [{ signature }] = JSON.parse(stdout);
    expect((await home.client.layers.signatures("base")).signatures).toEqual([signature]);
    const signed = join(work, "signed.tar");
    await cli(home, "layer", "export", "child", "--parents", "-o", signed);

    const trusted = keyFile("trusted.pem", pair.publicKey.export({ type: "spki", format: "pem" }));
    await using strict = new TestDaemon({ PLYBOX_TRUSTED_KEYS: trusted, PLYBOX_REQUIRE_SIGNATURES: "true" });
    await strict.start();
    await expect(strict.client.layers.import(createReadStream(archive))).rejects.toMatchObject({
      code: "layer/untrusted",
      message: "layer 100-base is refused: it is not signed",
    });
    expect(storedBy(strict)).toEqual([]);
    await strict.client.layers.import(createReadStream(signed));
    expect((await strict.client.layers.signatures("base")).signatures).toEqual([signature]);

    const other = keyFile("other.pem", stranger.publicKey.export({ type: "spki", format: "pem" }));
    await using picky = new TestDaemon({ PLYBOX_TRUSTED_KEYS: other });
    await picky.start();
    const refused = await cli(picky, "layer", "import", signed, "--require-signature");
    expect([refused.exitCode, refused.stderr]).toEqual([125, expect.stringContaining("which is not trusted")]);
    expect(storedBy(picky)).toEqual([]);
    await picky.client.layers.import(createReadStream(signed));
  });

  it("that are of something else, or malformed, are refused even where none is required", async () => {
    const trusted = keyFile("trusted.pem", pair.publicKey.export({ type: "spki", format: "pem" }));
    await using daemon = new TestDaemon({ PLYBOX_TRUSTED_KEYS: trusted });
    await daemon.start();
    await daemon.client.layers.import(createReadStream(archive));
    const { signatures } = await home.client.layers.signatures("child");
    const [ofChild] = signatures;
    expect(ofChild).toBeDefined();
    if (ofChild === undefined) return;
    await expect(daemon.client.layers.addSignature("base", ofChild)).rejects.toMatchObject({ code: "layer/untrusted" });
    await expect(
      daemon.client.layers.addSignature("base", { ...ofChild, value: `${"A".repeat(85)}===` }),
    ).rejects.toMatchObject({ code: "input/invalid" });
    await daemon.client.layers.addSignature("child", ofChild);
  });

  it("refuse a daemon whose trusted key cannot be read", async () => {
    await using daemon = new TestDaemon({ PLYBOX_TRUSTED_KEYS: join(work, "nowhere.pem") });
    await expect(daemon.start()).rejects.toMatchObject({ code: "input/invalid" });
  });
});
