import { execFile } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LayerStoreOptions } from "../../src/layers/layer-store.ts";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { readMountPoints } from "../../src/layers/mount-table.ts";
import { NativeLauncher } from "../../src/native/launcher.ts";
import { makeTreeIn, refused, storedIn } from "../support/layer-trees.ts";

const run = promisify(execFile);

let launcher: NativeLauncher;
let root: string;
let store: LayerStore;

beforeAll(() => {
  launcher = new NativeLauncher({ private: false });
});
afterAll(() => launcher.close());
beforeEach(() => {
  root = mkdtempSync("/tmp/plybox-formats-");
  store = makeStore();
});
afterEach(async () => {
  const left = (await readMountPoints()).filter((point) => point.startsWith(root));
  for (const point of left.reverse()) await run("umount", [point]);
  rmSync(root, { recursive: true });
  expect(left).toEqual([]);
});

function makeStore(options: Partial<LayerStoreOptions> = {}): LayerStore {
  return new LayerStore({
    storeDirectory: join(root, "store"),
    mountDirectory: join(root, "mounts"),
    mounter: launcher,
    log: { warn: (fields, message) => expect.fail(`${message}: ${JSON.stringify(fields)}`) },
    idleMs: 0,
    ...options,
  });
}

const makeTree = (name: string, content: string): string => makeTreeIn(root, name, content);

const stored = () => storedIn(join(root, "store"));
const imageOf = (digest: string, format: string) => join(root, "store", digest, `image.${format}`);
/** The device that a mount is of, or the file. */
const sourceOf = (path: string): string =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .find((line) => line.split(" ")[4] === path)
    ?.split(" - ")[1]
    ?.split(" ")[1] ?? "";

describe("formats", () => {
  it.each([
    ...["gzip", "lz4", "lzo", "xz", "zstd"].map((algorithm) => ["squashfs", algorithm] as const),
    ...["lz4", "lz4hc"].map((algorithm) => ["erofs", algorithm] as const),
  ])("packs %s with %s, the same tree to the same bytes, and it is mounted", async (format, algorithm) => {
    const tree = makeTree("tree", "read me ".repeat(1000));
    const packing = { format, algorithm, blockBytes: 65_536 };
    const first = await store.make.fromDirectory("100-a", tree, { packing });
    expect(first).toMatchObject({ format, compression: { algorithm, blockBytes: 65_536 } });
    const elsewhere = makeStore({ storeDirectory: join(root, "elsewhere") });
    expect((await elsewhere.make.fromDirectory("101-b", tree, { packing })).digest).toBe(first.digest);
    await using lease = await store.acquire(["a"]);
    expect(readFileSync(join(lease.mounts[0]?.path ?? "", "etc/greeting"), "utf8")).toBe("read me ".repeat(1000));
    expect(lstatSync(join(lease.mounts[0]?.path ?? "", "etc/greeting")).mtimeMs).toBe(1e9);
  });

  it("leaves what is mounted in the tree out of both formats", async () => {
    const tree = makeTree("tree", "x");
    mkdirSync(join(tree, "odd (name).*"));
    mkdirSync(join(tree, "odd (name)xx"));
    writeFileSync(join(tree, "odd (name)xx/kept"), "");
    await run("mount", ["-t", "tmpfs", "plybox-test", join(tree, "odd (name).*")]);
    try {
      writeFileSync(join(tree, "odd (name).*/inside"), "");
      await store.make.fromDirectory("100-a", tree);
      await store.make.fromDirectory("101-b", tree, { packing: { format: "erofs" } });
    } finally {
      await run("umount", [join(tree, "odd (name).*")]);
    }
    await using lease = await store.acquire(["a", "b"]);
    for (const { path } of lease.mounts) {
      const all = readdirSync(path, { recursive: true }).sort();
      expect(all).toEqual(["etc", "etc/greeting", "odd (name)xx", "odd (name)xx/kept"]);
    }
  });

  it("says what this machine cannot pack, or cannot read, before it reads the tree", async () => {
    const tree = makeTree("tree", "x");
    // Of 1 TB without blocks, which takes any program longer to read than any test runs.
    truncateSync(join(tree, "etc/greeting"), 1e12);
    // Debian 12's mkfs.erofs has no zstd.
    const unpacked = await refused(
      store.make.fromDirectory("100-a", tree, { packing: { format: "erofs", algorithm: "zstd" } }),
    );
    expect(unpacked).toMatchObject({ code: "host/missing" });
    expect(unpacked.message).toMatch(
      /^this machine's tools do not pack erofs with zstd 15 in blocks of 131072 bytes: .*zstd/,
    );
    const blind = { unmount: async () => {}, mountImage: () => Promise.reject(new Error("wrong fs type")) };
    const unread = await refused(
      makeStore({ mounter: blind }).make.fromDirectory("100-a", tree, { packing: { algorithm: "lzo" } }),
    );
    expect(unread.message).toBe(
      "this kernel does not read squashfs with lzo 8 in blocks of 131072 bytes: wrong fs type",
    );
    const wrong = await refused(store.make.fromDirectory("100-a", tree, { packing: { algorithm: "lzma" } }));
    expect(wrong).toMatchObject({ code: "input/invalid", field: "algorithm" });
    expect(stored()).toEqual([]);
  });

  it("keeps owners, modes, links, attributes, sparse files and odd names in erofs", async () => {
    const tree = makeTree("tree", "x");
    const script = `set -e; cd "$1"; chown 1000:65535 etc/greeting; chmod 4750 etc/greeting; ln -s greeting etc/link
      ln etc/greeting etc/twin; mkfifo etc/pipe; mknod etc/gone c 0 0; truncate -s 64M etc/sparse; mkdir etc/opaque
      touch "$(printf 'etc/\\377\\n')"
      python3 -c "import os; os.setxattr('etc/opaque', 'trusted.overlay.opaque', b'y')"`;
    await run("bash", ["-c", script, "bash", tree]);
    const { digest, bytes } = await store.make.fromDirectory("100-a", tree, { packing: { format: "erofs" } });
    expect(bytes).toBe(lstatSync(imageOf(digest, "erofs")).size);
    await using lease = await store.acquire(["a"]);
    const show = `cd "$1"; find etc -printf '%P %y %m %U:%G %s %n %l %T@\\n' | LC_ALL=C sort
      python3 -c "import os; print(os.getxattr('etc/opaque', 'trusted.overlay.opaque'))"`;
    const [before, after] = await Promise.all(
      [tree, lease.mounts[0]?.path ?? ""].map(async (path) => (await run("bash", ["-c", show, "bash", path])).stdout),
    );
    // The size of a directory is the file system's own.
    const comparable = (text = "") => text.replaceAll(/( d \d+ \d+:\d+) \d+/g, "$1");
    expect(comparable(after)).toBe(comparable(before));
    expect(after).toContain("greeting f 4750 1000:65535 1 2");
  });

  it("takes no loop device for erofs, but where the store's own file system is one of several layers", async () => {
    const tree = makeTree("tree", "x");
    const { digest } = await store.make.fromDirectory("100-a", tree, { packing: { format: "erofs" } });
    const lease = await store.acquire(["a"]);
    expect(sourceOf(lease.mounts[0]?.path ?? "")).toBe(imageOf(digest, "erofs"));
    await lease.release();
    for (const name of ["upper", "work", "merged"]) mkdirSync(join(root, name));
    await run("mount", ["-t", "tmpfs", "plybox-test", join(root, "upper")]);
    for (const name of ["u", "w"]) mkdirSync(join(root, "upper", name));
    const dirs = `lowerdir=${root}/store,upperdir=${root}/upper/u,workdir=${root}/upper/w`;
    await run("mount", ["-t", "overlay", "plybox-test", "-o", dirs, join(root, "merged")]);
    try {
      const above = makeStore({ storeDirectory: join(root, "merged") });
      await using looped = await above.acquire(["a"]);
      expect(sourceOf(looped.mounts[0]?.path ?? "")).toMatch(/^\/dev\/loop\d+$/);
      expect(readFileSync(join(looped.mounts[0]?.path ?? "", "etc/greeting"), "utf8")).toBe("x");
    } finally {
      await run("umount", [join(root, "merged")]);
      await run("umount", [join(root, "upper")]);
    }
  });
});
