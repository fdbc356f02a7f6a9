import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { Catalog } from "../../src/layers/catalog.ts";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { unpackedImage } from "../../src/layers/unpacked-image.ts";
import { parseDigest, parseLayerName } from "../../src/model/ids.ts";
import type { ImageFormat, LayerManifest } from "../../src/model/layer.ts";
import { NativeLauncher } from "../../src/native/launcher.ts";
import { runCli } from "../support/cli-context.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const CONTROL = "\u001b]0;owned\u0007\u009b2J\nname";

let daemon: TestDaemon;
let catalog: Catalog;
let work: string;
let image: string;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  work = mkdtempSync(join(tmpdir(), "plybox-hostile-"));
  catalog = new Catalog(join(daemon.config.stateDir, "layers"));
  await catalog.prepare();
  image = makeImage();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

/** An image with all that an honest one has no need of. */
function makeImage(): string {
  const tree = join(work, "tree");
  const evil = join(tree, "evil");
  mkdirSync(evil, { recursive: true });
  copyFileSync("/usr/bin/id", join(evil, "id"));
  chmodSync(join(evil, "id"), 0o6755);
  copyFileSync("/usr/bin/grep", join(evil, "grep"));
  chmodSync(join(evil, "grep"), 0o755);
  // Version 2, effective, CAP_CHOWN permitted.
  const capability = Buffer.from([1, 0, 0, 2, 1, ...Array(15).fill(0)]);
  const program = "import os, sys; os.setxattr(sys.argv[1], 'security.capability', bytes.fromhex(sys.argv[2]))";
  execFileSync("python3", ["-c", program, join(evil, "grep"), capability.toString("hex")]);
  symlinkSync("/etc/hostname", join(evil, "absolute"));
  symlinkSync(`${"../".repeat(40)}etc/hostname`, join(evil, "up"));
  symlinkSync("/proc/self/root/etc/hostname", join(evil, "magic"));
  writeFileSync(join(evil, CONTROL), "");
  const made = join(work, "image");
  const pseudo = ["null c 666 0 0 1 3", "disk b 666 0 0 7 0", "fifo f 666 0 0 sleep 0"];
  execFileSync("mknod", ["-m", "666", join(evil, "pipe"), "p"]);
  execFileSync("mksquashfs", [
    ...[tree, made, "-noappend", "-comp", "zstd", "-xattrs", "-no-progress", "-quiet"],
    ...pseudo.flatMap((entry) => ["-p", `evil/${entry}`]),
  ]);
  return made;
}

/** Puts an image into the store as if it had come from elsewhere, digest and all. */
async function store(name: string, bytes: Buffer, format: ImageFormat = "squashfs"): Promise<LayerManifest> {
  const manifest: LayerManifest = {
    ...{
      name: parseLayerName(name),
      bytes: bytes.length,
      format,
      compression: null,
      parents: [],
      binds: [],
    },
    digest: parseDigest(createHash("sha256").update(bytes).digest("hex")),
    createdAt: new Date().toISOString(),
    provenance: { kind: "directory", source: CONTROL },
  };
  const staging = await catalog.stage();
  writeFileSync(join(staging, `image.${format}`), bytes);
  await catalog.install(staging, manifest);
  catalog.names.claim(manifest.name, manifest.digest);
  return manifest;
}

describe("a layer with what an honest one has no need of", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    await store("500-hostile", readFileSync(image));
    sandbox = await daemon.client.create({ layers: ["host", "hostile"] });
  });

  const asNobody = async (line: string): Promise<string> =>
    (await sandbox.exec(line, { user: "65534:65534" })).stdout.trimEnd();

  it("gives no rights by set-user-id", async () => {
    expect(await asNobody("/evil/id -u; /evil/id -g; stat -c %a /evil/id")).toBe("65534\n65534\n6755");
  });

  it("gives no rights by capabilities of files", async () => {
    expect(await asNobody("/evil/grep CapEff /proc/self/status")).toMatch(/^CapEff:\t0+$/);
    // The control: outside, the same file has the right.
    chmodSync(work, 0o755);
    const outside = join(work, "tree/evil/grep");
    const status = execFileSync(outside, ["CapEff", "/proc/self/status"], { uid: 65_534, gid: 65_534 });
    expect(status.toString()).toMatch(/^CapEff:\t0+1$/m);
  });

  it("brings no device that can be opened", async () => {
    const { stdout } = await sandbox.exec("cd /evil; for each in null disk; do stat -c %F $each; cat $each; done 2>&1");
    expect(stdout.trim().split("\n")).toEqual([
      "character special file",
      expect.stringContaining("null: Permission denied"),
      "block special file",
      expect.stringContaining("disk: Permission denied"),
    ]);
  });

  it("leads nowhere out by its symlinks, neither commands nor the file API", async () => {
    expect((await sandbox.exec("cat /evil/absolute /evil/up /evil/magic")).stdout).toBe("plybox\nplybox\nplybox\n");
    for (const name of ["absolute", "up"]) {
      expect(Buffer.from(await sandbox.files.read(`/evil/${name}`)).toString()).toBe("plybox\n");
    }
  });

  it("does not block who reads its pipe through the file API", async () => {
    await expect(sandbox.files.read("/evil/pipe")).rejects.toMatchObject({ code: "file/not-regular" });
  });

  it("moves no cursor by its names, in tables or JSON", async () => {
    const env = { PLYBOX_SOCKET: daemon.config.socket };
    const lines = [
      ...[
        ["layer", "ls"],
        ["layer", "inspect", "hostile"],
        ["fs", "ls", sandbox.id, "/evil"],
      ],
      ...[
        ["fs", "find", sandbox.id, "/evil", "--name", "*name"],
        ["fs", "stat", sandbox.id, `/evil/${CONTROL}`],
      ],
    ];
    for (const line of lines) {
      for (const options of [[], ["--json"]]) {
        const { stdout, exitCode } = await runCli([...line, ...options], { env });
        expect([line, exitCode]).toEqual([line, 0]);
        expect(stdout).toContain("owned");
        expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
      }
    }
  });

  it("is mounted without set-user-id and devices, here and inside", async () => {
    const options = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(`${daemon.config.runDir}/layers/`))
      .map((line) => line.split(" ")[5]);
    expect(options.length).toBeGreaterThan(0);
    for (const each of options) expect(each).toMatch(/^ro,nosuid,nodev/);
    expect((await sandbox.exec("grep ' / overlay' /proc/mounts")).stdout).toMatch(/ rw,nosuid,nodev/);
  });
});

/** The files behind the loop devices of this machine; others come and go meanwhile. */
function imagesOnLoops(): string[] {
  return readdirSync("/sys/block").flatMap((device) => {
    try {
      return [readFileSync(`/sys/block/${device}/loop/backing_file`, "utf8")];
    } catch {
      return [];
    }
  });
}

describe("an image that lies", () => {
  const lies: readonly [string, (bytes: Buffer) => Buffer, string][] = [
    ["of 16 EiB", (it) => it.fill(0xff, 40, 48), "claims 18446744073709551615 bytes"],
    ["of inodes without end", (it) => it.fill(0xff, 4, 8), "claims 4294967295 inodes"],
    ["of nothing but zeros", () => Buffer.alloc(8192), "no squashfs"],
    ["of a few bytes", () => Buffer.from("hsqs"), "too short"],
    ["that is cut off", (it) => it.subarray(0, it.length / 2), "claims"],
    ["of tables that are not there", (it) => it.fill(0xff, 96), "the kernel does not take its image"],
  ];

  it.each(lies)("%s is refused by name, and nothing of it stays mounted", async (_what, change, why) => {
    const bytes = change(Buffer.from(readFileSync(image)));
    const name = `501-lie-${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}`;
    const { digest } = await store(name, bytes);
    await expect(daemon.client.create({ layers: ["busybox", name] })).rejects.toMatchObject({
      code: "layer/corrupt",
      message: expect.stringContaining(`layer ${name} is corrupt:`),
    });
    await expect(daemon.client.create({ layers: ["busybox", name] })).rejects.toThrow(why);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(digest);
    expect(readdirSync(join(daemon.config.runDir, "layers"))).not.toContain(digest);
    // Whoever looks at a device holds it for a moment.
    await expect.poll(() => imagesOnLoops().join()).not.toContain(digest);
  });
});

describe("an erofs image", () => {
  /** With a table of further devices, each with a name of the image's choice. */
  function makeErofs(devices: number): Buffer {
    const tree = mkdtempSync(join(work, "erofs-"));
    writeFileSync(join(tree, "file"), "content");
    const made = join(work, "image.erofs");
    execFileSync("mkfs.erofs", ["--quiet", "-Enosbcrc", made, tree], { stdio: "ignore" });
    const bytes = Buffer.concat([readFileSync(made), Buffer.alloc(4096)]);
    const superblock = bytes.subarray(1024);
    const blocks = superblock.readUInt32LE(36);
    superblock.writeUInt32LE(blocks + 1, 36);
    superblock.writeUInt32LE(superblock.readUInt32LE(80) | 8, 80);
    superblock.writeUInt16LE(devices, 86);
    superblock.writeUInt16LE((blocks * 4096) / 128, 88);
    bytes.write("/etc/hostname", blocks * 4096);
    bytes.writeUInt32LE(1, blocks * 4096 + 64);
    return bytes;
  }

  it("that wants other files beside itself is refused, whether or not the kernel would open them", async () => {
    const { name, digest } = await store("505-second", makeErofs(1), "erofs");
    await expect(daemon.client.create({ layers: ["busybox", name] })).rejects.toMatchObject({
      code: "layer/corrupt",
      message: expect.stringContaining("wants other files or devices beside itself"),
    });
    // The controls: the kernel mounts that one, and an image without the table makes a sandbox.
    const launcher = new NativeLauncher({ private: true });
    const image = join(catalog.layers.directory(digest), "image.erofs");
    await launcher.mountImage({ image, format: "erofs", target: join(work, "second") });
    await launcher.close();
    const honest = await store("506-honest", makeErofs(0), "erofs");
    await using sandbox = await daemon.client.create({ layers: ["busybox", honest.name] });
    expect((await sandbox.exec("cat /file; echo written > /file; cat /file")).stdout).toBe("contentwritten\n");
  });
});

describe("an image that holds too much", () => {
  it("is refused for its inodes before it is mounted", async () => {
    const { digest, name } = await store("502-many", readFileSync(image));
    const bounds = { inodes: 4, unpackedBytes: 1 };
    const mounted: string[] = [];
    const store4 = new LayerStore({
      storeDirectory: join(daemon.config.stateDir, "layers"),
      mountDirectory: join(work, "mounts"),
      mounter: { mountImage: async ({ target }) => void mounted.push(target), unmount: async () => {} },
      log: console,
      bounds,
    });
    await expect(store4.acquire([name])).rejects.toMatchObject({
      code: "layer/too-large",
      message: expect.stringMatching(/it has \d+ inodes, and 4 are allowed/),
    });
    expect(mounted).toEqual([]);
    expect(existsSync(join(catalog.layers.directory(digest), "unpacked"))).toBe(false);
  });

  it("is not unpacked when that makes a thousand times as much of it", async () => {
    const bomb = join(work, "bomb");
    mkdirSync(join(work, "zeros"));
    writeFileSync(join(work, "zeros/file"), "");
    truncateSync(join(work, "zeros/file"), 256 * 1024 * 1024);
    execFileSync("mksquashfs", [join(work, "zeros"), bomb, "-comp", "zstd", "-no-progress", "-quiet"]);
    const bytes = readFileSync(bomb);
    expect(bytes.length * 1000).toBeLessThan(256 * 1024 * 1024);
    const manifest = await store("503-bomb", bytes);
    const bounded = (unpackedBytes: number) =>
      new Catalog(join(daemon.config.stateDir, "layers"), { inodes: 100, unpackedBytes });
    await expect(unpackedImage(bounded(256 * 1024 * 1024 - 1), manifest)).rejects.toMatchObject({
      code: "layer/too-large",
      message: expect.stringContaining("unpacked it has more than the 268435455 bytes that are allowed"),
    });
    expect(existsSync(join(catalog.layers.directory(manifest.digest), "unpacked"))).toBe(false);
    // The control.
    const tree = await unpackedImage(bounded(256 * 1024 * 1024), manifest);
    expect(readdirSync(tree)).toEqual(["file"]);
  });
});

describe("a directory that a layer is built from", () => {
  it("may hold links that lead out, pipes, sockets and devices: none is followed or waited for", async () => {
    const source = join(work, "source");
    mkdirSync(join(source, "own"), { recursive: true });
    writeFileSync(join(work, "secret"), "secret");
    symlinkSync(join(work, "secret"), join(source, "out"));
    symlinkSync("..", join(source, "own/above"));
    execFileSync("mkfifo", [join(source, "pipe")]);
    execFileSync("mknod", [join(source, "null"), "c", "1", "3"]);
    execFileSync("python3", [
      "-c",
      "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])",
      `${source}/s`,
    ]);
    const builder = new LayerStore({
      storeDirectory: join(daemon.config.stateDir, "layers"),
      mountDirectory: join(work, "mounts"),
      mounter: { mountImage: async () => {}, unmount: async () => {} },
      log: console,
    });
    const built = await builder.make.fromDirectory("504-odd", source);
    const listing = execFileSync("unsquashfs", [
      "-lln",
      join(catalog.layers.directory(built.digest), "image.squashfs"),
    ]);
    const kinds = listing.toString().match(/^[-a-z][-rwxstST]{9}/gm) ?? [];
    expect(kinds.map((kind) => kind[0]).sort()).toEqual(["c", "d", "d", "l", "l", "p", "s"]);
    await using sandbox = await daemon.client.create({ layers: ["host", "odd"] });
    const { stdout } = await sandbox.exec("cat /out /null 2>&1; readlink /own/above");
    expect(stdout).toMatch(/out: No such file or directory\n.*null: Permission denied\n\.\.\n$/);
  });
});
