import { execFile, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LAYER_PACKINGS } from "../../src/layers/compression.ts";
import type { LayerStoreOptions } from "../../src/layers/layer-store.ts";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { readMountPoints } from "../../src/layers/mount-table.ts";
import type { ImageMount, Mounter } from "../../src/layers/mounter.ts";
import { makeTreeIn, refused, storedIn } from "../support/layer-trees.ts";

const run = promisify(execFile);

/** Mounts through a loop device that frees itself, as the launcher does. */
class CommandMounter implements Mounter {
  /** Of layers; what is mounted while it is being made is a probe. */
  mounts = 0;

  async mountImage({ image, format, target }: ImageMount): Promise<void> {
    if (!image.includes("/.new.")) this.mounts++;
    await run("mount", ["-t", format, "-o", "loop,ro,nosuid,nodev", image, target]);
  }

  async unmount(target: string): Promise<void> {
    if ((await readMountPoints()).includes(target)) await run("umount", [target]);
  }
}

let root: string;
let mounter: CommandMounter;
let store: LayerStore;
const warnings: string[] = [];

function makeStore(options: Partial<LayerStoreOptions> = {}): LayerStore {
  const log = { warn: (_: object, message: string) => void warnings.push(message) };
  return new LayerStore({
    storeDirectory: join(root, "store"),
    mountDirectory: join(root, "mounts"),
    mounter,
    log,
    idleMs: 0,
    ...options,
  });
}

const makeTree = (name: string, content: string): string => makeTreeIn(root, name, content);

const mountsHere = async () => (await readMountPoints()).filter((point) => point.startsWith(root));
const imageOf = (digest: string) => join(root, "store", digest, "image.squashfs");
const stored = () => storedIn(join(root, "store"));

async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, position);
  await file.close();
}

/** Adds a file of 1 TB without blocks, which takes mksquashfs longer to read than any test runs. */
function makeEndless(tree: string): void {
  writeFileSync(join(tree, "endless"), "");
  truncateSync(join(tree, "endless"), 1e12);
}

/** Node has no calls for extended attributes. */
const python = async (line: string, path: string): Promise<string> =>
  (await run("python3", ["-c", `import os, sys; ${line}`, path])).stdout;

const hasImage = (): boolean =>
  existsSync(join(root, "store")) &&
  readdirSync(join(root, "store"), { recursive: true }).some((file) => String(file).endsWith(".squashfs"));

/** Looks again after each turn of the event loop; a hang ends the test. */
async function pollUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const isRunning = (pid: number): boolean => {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : ") Z";
  return !stat.includes(") Z");
};

/** A program `STORE NAME DIRECTORY` that builds one layer: what is killed must be another process than the test. */
async function compileBuilder(): Promise<string> {
  const repository = join(import.meta.dirname, "../..");
  const out = join(root, "compiled");
  mkdirSync(out);
  const folders = ["base", "model", "layers"].map((folder) => join(repository, "src", folder));
  const compilerOptions = { noEmit: false, noCheck: true, rootDir: join(repository, "src"), outDir: out };
  const typeRoots = [join(repository, "node_modules/@types")];
  writeFileSync(
    join(out, "tsconfig.json"),
    JSON.stringify({
      extends: join(repository, "tsconfig.json"),
      compilerOptions: { ...compilerOptions, typeRoots },
      include: folders,
    }),
  );
  writeFileSync(join(out, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(
    join(out, "build.js"),
    `import { LayerStore } from "./layers/layer-store.js";
    const [storeDirectory, name, directory] = process.argv.slice(2);
    const store = new LayerStore({ storeDirectory, mountDirectory: "/nonexistent", mounter: {}, unpack: true, log: console });
    await store.buildFromDirectory(name, directory);`,
  );
  await run(join(repository, "node_modules/.bin/tsc"), ["-p", join(out, "tsconfig.json")]);
  return join(out, "build.js");
}

async function loopsHere(): Promise<string[]> {
  const { stdout } = await run("losetup", ["-a"]);
  return stdout.split("\n").filter((line) => line.includes(root));
}

beforeEach(async () => {
  root = await mkdtemp("/tmp/plybox-layers-");
  mounter = new CommandMounter();
  store = makeStore();
  warnings.length = 0;
});

afterEach(async () => {
  const left = await mountsHere();
  for (const point of left) await run("umount", [point]);
  // The kernel frees a loop device when the last that looks at it, such as another losetup, has closed it.
  await expect.poll(() => loopsHere()).toEqual([]);
  await rm(root, { recursive: true, force: true });
  expect({ left, warnings }).toEqual({ left: [], warnings: [] });
});

describe("building", () => {
  it("gives the same tree the same digest, another tree another", async () => {
    const a = await store.buildFromDirectory("100-a", makeTree("a", "hello"));
    const b = await store.buildFromDirectory("101-b", makeTree("b", "hello"));
    const c = await store.buildFromDirectory("102-c", makeTree("c", "hallo"));
    expect(b.digest).toBe(a.digest);
    expect(c.digest).not.toBe(a.digest);
    expect((await store.list()).map(({ name }) => name)).toEqual(["100-a", "101-b", "102-c"]);
    expect(await store.inspect("b")).toEqual({ ...a, name: "101-b" });
    // The superblock's time of creation.
    expect(readFileSync(imageOf(a.digest)).readUInt32LE(8)).toBe(0);
    const sum = (await run("sha256sum", [imageOf(a.digest)])).stdout.slice(0, 64);
    expect(a).toMatchObject({
      name: "100-a",
      digest: sum,
      format: "squashfs",
      bytes: lstatSync(imageOf(a.digest)).size,
      compression: { algorithm: "zstd", level: 15, blockBytes: 131_072 },
      provenance: { kind: "directory", source: join(root, "a") },
    });
  });

  it("packs as the options say", async () => {
    const compression = { algorithm: "zstd", level: 3, blockBytes: 65_536 };
    const manifest = await makeStore({ packings: { ...LAYER_PACKINGS, squashfs: compression } }).buildFromDirectory(
      "100-a",
      makeTree("a", "hello"),
    );
    expect(manifest.compression).toEqual(compression);
    const superblock = (await run("unsquashfs", ["-s", imageOf(manifest.digest)])).stdout;
    expect(superblock).toMatch(/compression-level 3\n/);
    expect(superblock).toMatch(/Block size 65536/);
  });

  it("keeps owners, modes, links, attributes and names that are not text", async () => {
    const tree = makeTree("tree", "x");
    writeFileSync(join(tree, "theirs"), "y");
    chownSync(join(tree, "theirs"), 1000, 65_535);
    chmodSync(join(tree, "theirs"), 0o4750);
    symlinkSync("theirs", join(tree, "link"));
    const odd = Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x0a])]);
    writeFileSync(odd, "odd");
    await python("os.setxattr(sys.argv[1], 'trusted.plybox', b'kept')", join(tree, "theirs"));
    await store.buildFromDirectory("100-tree", tree);
    await using lease = await store.acquire(["tree"]);
    const mount = lease.mounts[0]?.path ?? "";
    const { uid, gid, mode } = lstatSync(join(mount, "theirs"));
    expect({ uid, gid, mode: mode & 0o7777 }).toEqual({ uid: 1000, gid: 65_535, mode: 0o4750 });
    expect(lstatSync(join(mount, "link")).isSymbolicLink()).toBe(true);
    expect(readFileSync(Buffer.concat([Buffer.from(`${mount}/`), Buffer.from([0xff, 0x0a])]), "utf8")).toBe("odd");
    const attribute = await python("print(os.getxattr(sys.argv[1], 'trusted.plybox'))", join(mount, "theirs"));
    expect(attribute).toBe("b'kept'\n");
  });

  it("reports how far it is, up to the end", async () => {
    const seen: number[] = [];
    const tree = makeTree("tree", "hello");
    const onProgress = ({ doneBytes, totalBytes }: { doneBytes: number; totalBytes: number | null }) => {
      expect(totalBytes).toBe(5);
      seen.push(doneBytes);
    };
    await store.buildFromDirectory("100-a", tree, { onProgress });
    expect(seen.at(-1)).toBe(5);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it("builds again without complaint what is there, and refuses other content unless told to replace", async () => {
    const tree = makeTree("tree", "one");
    const first = await store.buildFromDirectory("100-a", tree);
    expect(await store.buildFromDirectory("100-a", tree)).toEqual(first);
    const other = makeTree("other", "two");
    expect(await refused(store.buildFromDirectory("100-a", other))).toMatchObject({ code: "layer/exists" });
    expect(stored()).toEqual([first.digest]);
    const second = await store.buildFromDirectory("100-a", other, { replace: true });
    expect(await store.inspect("a")).toEqual(second);
    expect(stored()).toEqual([second.digest]);
  });

  it("keeps a replaced layer for who stands on it", async () => {
    const first = await store.buildFromDirectory("100-a", makeTree("tree", "one"));
    const lease = await store.acquire(["a"]);
    const second = await store.buildFromDirectory("100-a", makeTree("tree", "two"), { replace: true });
    expect(readFileSync(join(lease.mounts[0]?.path ?? "", "etc/greeting"), "utf8")).toBe("one");
    await using adopted = await makeStore().adopt([first.digest]);
    expect(adopted.mounts).toEqual(lease.mounts);
    expect(stored().sort()).toEqual([first.digest, second.digest].sort());
    await adopted.release();
    await lease.release();
    await store.sweep();
    expect(stored()).toEqual([second.digest]);
  });

  it("lets one of several builds of a name win, and leaves nothing of the others", async () => {
    const stores = [store, makeStore(), makeStore(), makeStore()];
    const results = await Promise.allSettled(
      stores.map((each, i) => each.buildFromDirectory("100-a", makeTree(`tree${i}`, `content ${i}`))),
    );
    const won = results.filter((result) => result.status === "fulfilled");
    const lost = results.filter((result) => result.status === "rejected");
    expect(won).toHaveLength(1);
    expect(lost.map(({ reason }) => reason.code)).toEqual(Array(3).fill("layer/exists"));
    expect(stored()).toEqual([(await store.inspect("a")).digest]);
  });

  it("lets several builds of the same content share one layer", async () => {
    const tree = makeTree("tree", "same");
    const names = ["100-a", "101-b", "102-c", "103-d"];
    const manifests = await Promise.all(names.map((name) => makeStore().buildFromDirectory(name, tree)));
    expect(new Set(manifests.map(({ digest }) => digest)).size).toBe(1);
    expect(stored()).toHaveLength(1);
    await store.verify("a");
  });

  it("loses no layer to a sweep that runs before it has its name", async () => {
    let isBuilding = true;
    const building = Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        return makeStore().buildFromDirectory(`${100 + i}-a`, makeTree(`tree${i}`, `content ${i}`));
      }),
    ).finally(() => {
      isBuilding = false;
    });
    const sweeping = [store, makeStore(), makeStore()].map(async (each) => {
      while (isBuilding) await each.sweep();
    });
    await Promise.all([building, ...sweeping]);
    expect(await store.list()).toHaveLength(50);
    expect(stored()).toHaveLength(50);
  });

  it("refuses owner ids from 65536 on, naming the path", async () => {
    const tree = makeTree("tree", "x");
    chownSync(join(tree, "etc/greeting"), 65_536, 0);
    const error = await refused(store.buildFromDirectory("100-a", tree));
    expect(error).toMatchObject({ code: "input/invalid", field: "directory" });
    expect(error.message).toMatch(/"etc\/greeting" has owner id 65536/);
    chownSync(join(tree, "etc/greeting"), 0, 100_000);
    expect((await refused(store.buildFromDirectory("100-a", tree))).message).toMatch(/group id 100000/);
    expect(stored()).toEqual([]);
  });

  it.each([
    ["a name that leaves the store", "../../etc", "tree"],
    ["a name with a slash", "100-a/b", "tree"],
    ["a name without a number", "python", "tree"],
    ["a name with a newline", "100-a\n", "tree"],
    ["an empty name", "", "tree"],
    ["a name of Plybox's own", "000-host", "tree"],
    ["a directory that is not there", "100-a", "nowhere"],
    ["a file", "100-a", "tree/etc/greeting"],
    ["a directory that holds the store", "100-a", "."],
  ])("refuses %s and changes nothing", async (_, name, directory) => {
    makeTree("tree", "x");
    expect(await refused(store.buildFromDirectory(name, join(root, directory)))).toMatchObject({
      code: "input/invalid",
    });
    expect(existsSync(join(root, "store")) ? stored() : []).toEqual([]);
    expect(await store.list()).toEqual([]);
  });

  it("says so when the disk is full, and leaves nothing", async () => {
    const tree = makeTree("tree", "x");
    writeFileSync(join(tree, "random"), randomBytes(1 << 20));
    mkdirSync(join(root, "store"));
    await run("mount", ["-t", "tmpfs", "-o", "size=512k", "plybox-test", join(root, "store")]);
    try {
      const error = await refused(store.buildFromDirectory("100-a", tree));
      expect(error).toMatchObject({ code: "layer/build-failed" });
      expect(error.message).toMatch(/No space left/);
      expect(stored()).toEqual([]);
    } finally {
      await run("umount", [join(root, "store")]);
    }
  });

  it("leaves nothing when it is aborted", async () => {
    const tree = makeTree("tree", "x");
    makeEndless(tree);
    const abort = new AbortController();
    const building = store.buildFromDirectory("100-a", tree, { signal: abort.signal });
    const failure = refused(building);
    await pollUntil(hasImage);
    abort.abort();
    expect(await failure).toMatchObject({ code: "aborted" });
    expect(stored()).toEqual([]);
  });

  it("shows nothing of a build that was killed, and the next build clears it away", async () => {
    const tree = makeTree("tree", "x");
    makeEndless(tree);
    const builder = spawn(process.execPath, [await compileBuilder(), join(root, "store"), "100-killed", tree], {
      stdio: "inherit",
    });
    const ended = new Promise((resolve) => builder.once("exit", (_, signal) => resolve(signal)));
    await pollUntil(hasImage);
    const packer = Number(execFileSync("pgrep", ["-P", String(builder.pid), "mksquashfs"], { encoding: "utf8" }));
    builder.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
    expect(await store.list()).toEqual([]);
    expect(await refused(store.inspect("killed"))).toMatchObject({ code: "layer/not-found" });
    expect(stored()).toHaveLength(1);
    await pollUntil(() => !isRunning(packer));
    const next = await store.buildFromDirectory("100-next", makeTree("next", "y"));
    expect(stored()).toEqual([next.digest]);
  });
});

describe("verification", () => {
  it.each([
    ["truncated", async (image: string) => truncateSync(image, 4096 - 100)],
    ["with one flipped bit", async (image: string) => await flipByte(image, 200)],
    ["replaced by nothing", async (image: string) => await rm(image)],
  ])("refuses an image %s by its layer's name and mounts nothing", async (_, damage) => {
    const { digest } = await store.buildFromDirectory("100-a", makeTree("tree", "x"));
    await (await store.acquire(["a"])).release();
    await damage(imageOf(digest));
    const mountsBefore = mounter.mounts;
    for (const each of [store, makeStore()]) {
      const error = await refused(each.acquire(["a"]));
      expect(error).toMatchObject({ code: "layer/corrupt" });
      expect(error.message).toMatch(/layer 100-a is corrupt/);
    }
    expect(mounter.mounts).toBe(mountsBefore);
    expect(readdirSync(join(root, "mounts"))).toEqual([]);
  });

  it("reads an image again when its bytes change under the same size and time", async () => {
    const { digest } = await store.buildFromDirectory("100-a", makeTree("tree", "x"));
    await (await store.acquire(["a"])).release();
    const { atime, mtime } = lstatSync(imageOf(digest));
    await flipByte(imageOf(digest), 200);
    utimesSync(imageOf(digest), atime, mtime);
    expect(await refused(makeStore().acquire(["a"]))).toMatchObject({ code: "layer/corrupt" });
  });

  it("mends a damaged layer when it is built again", async () => {
    const tree = makeTree("tree", "x");
    const { digest } = await store.buildFromDirectory("100-a", tree);
    await flipByte(imageOf(digest), 200);
    expect(await refused(store.verify("a"))).toMatchObject({ code: "layer/corrupt" });
    await store.buildFromDirectory("100-a", tree);
    await store.verify("a");
    await using _ = await store.acquire(["a"]);
    expect(stored()).toEqual([digest]);
  });

  it.each([
    ["cut off", '{"name": "100-a"'],
    ["of another layer", JSON.stringify({ name: "100-a", digest: "0".repeat(64) })],
    ["with an unknown field", '{"surprise": 1}'],
  ])("refuses a manifest %s, and lists the other layers", async (_, manifest) => {
    const a = await store.buildFromDirectory("100-a", makeTree("a", "a"));
    const b = await store.buildFromDirectory("101-b", makeTree("b", "b"));
    writeFileSync(join(root, "store", a.digest, "manifest.json"), manifest);
    const fresh = makeStore();
    expect(await fresh.list()).toEqual([b]);
    expect(await refused(fresh.inspect("a"))).toMatchObject({ code: "layer/corrupt" });
    expect(warnings.splice(0)).toEqual(["a layer cannot be read"]);
  });
});

describe("leases", () => {
  beforeEach(async () => {
    await store.buildFromDirectory("100-a", makeTree("a", "a"));
    await store.buildFromDirectory("200-b", makeTree("b", "b"));
  });

  it("mounts each layer once for twenty leases at once, and unmounts it with the last", async () => {
    const leases = await Promise.all(Array.from({ length: 20 }, () => store.acquire(["200-b", "a"])));
    expect(mounter.mounts).toBe(2);
    const digests = (await store.list()).map(({ digest }) => digest);
    const mounts = digests.map((digest) => ({ path: join(root, "mounts", digest), idmap: true }));
    for (const lease of leases) expect(lease.mounts).toEqual(mounts);
    expect((await mountsHere()).sort()).toEqual(mounts.map(({ path }) => path).sort());
    const options = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .find((line) => line.includes(mounts[0]?.path ?? "?"));
    expect(options).toMatch(/ ro,nosuid,nodev/);
    const last = leases.pop();
    await Promise.all(leases.map((lease) => lease.release()));
    expect(await mountsHere()).toHaveLength(2);
    await last?.release();
    expect(await mountsHere()).toEqual([]);
    expect(readdirSync(join(root, "mounts"))).toEqual([]);
    expect(readdirSync(join(root, "store/pins"))).toEqual([]);
  });

  it("survives leases and releases that overlap in every way", async () => {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let i = 0; i < 5; i++) {
          await using lease = await store.acquire(["a"]);
          expect(readFileSync(join(lease.mounts[0]?.path ?? "", "etc/greeting"), "utf8")).toBe("a");
        }
      }),
    );
    expect(await mountsHere()).toEqual([]);
  });

  it("counts a lease that is released twice once", async () => {
    await using kept = await store.acquire(["a"]);
    const lease = await store.acquire(["a"]);
    await Promise.all([lease.release(), lease.release()]);
    await lease[Symbol.asyncDispose]();
    expect(await mountsHere()).toEqual([kept.mounts[0]?.path]);
  });

  it("keeps an idle image mounted for the next lease until it is told not to", async () => {
    const patient = makeStore({ idleMs: Number.POSITIVE_INFINITY });
    await (await patient.acquire(["a", "b"])).release();
    expect(await mountsHere()).toHaveLength(2);
    await using lease = await patient.acquire(["a"]);
    expect(mounter.mounts).toBe(2);
    await patient.unmountIdle();
    expect(await mountsHere()).toEqual([lease.mounts[0]?.path]);
    await lease.release();
    await patient.unmountIdle();
    expect(await mountsHere()).toEqual([]);
  });

  it("unmounts an idle image when its time is over", async () => {
    const brief = makeStore({ idleMs: 1 });
    await (await brief.acquire(["a"])).release();
    while ((await mountsHere()).length > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it("holds nothing when one of its layers cannot be had", async () => {
    const { digest } = await store.inspect("b");
    truncateSync(imageOf(digest), 10);
    expect(await refused(store.acquire(["a", "b"]))).toMatchObject({ code: "layer/corrupt" });
    expect(await mountsHere()).toEqual([]);
    await store.remove("a");
  });

  it("refuses to remove a layer while it is leased, here or in another process, and then removes it", async () => {
    const other = makeStore({ mountDirectory: join(root, "other-mounts") });
    const lease = await store.acquire(["a"]);
    for (const each of [store, other]) {
      expect(await refused(each.remove("a"))).toMatchObject({ code: "layer/in-use" });
    }
    expect(await store.list()).toHaveLength(2);
    await lease.release();
    await other.remove("100-a");
    expect(await refused(store.acquire(["a"]))).toMatchObject({ code: "layer/not-found" });
    expect(await refused(store.remove("a"))).toMatchObject({ code: "layer/not-found" });
    expect((await store.list()).map(({ name }) => name)).toEqual(["200-b"]);
    expect(stored()).toHaveLength(1);
  });

  it("removes a layer that is idle but still mounted", async () => {
    const patient = makeStore({ idleMs: Number.POSITIVE_INFINITY });
    await (await patient.acquire(["a"])).release();
    await patient.remove("a");
    expect(await mountsHere()).toEqual([]);
  });

  it("takes over the mounts of a process that died, and sweeps those that nobody took", async () => {
    await store.acquire(["a", "b"]);
    const [a, b] = await store.list();
    // The pins of a process that is no more.
    for (const pin of readdirSync(join(root, "store/pins"))) await rm(join(root, "store/pins", pin));
    writeFileSync(
      join(root, "store/pins", `${b?.digest}.999999999.1.00112233445566778899aabbccddeeff.0123456789abcdef`),
      "",
    );
    mkdirSync(join(root, "store/.new.999999999.1.00112233445566778899aabbccddeeff.0123456789abcdef"));
    // What is mounted already is not asked for its digest again: a sandbox stands on it.
    truncateSync(imageOf(a?.digest ?? ""), 4000);
    const next = makeStore();
    expect(await refused(next.remove("a"))).toMatchObject({ code: "layer/in-use" });
    const adopted = await next.adopt([a?.digest ?? ""]);
    expect(mounter.mounts).toBe(2);
    expect(await next.sweep()).toEqual({
      unmounted: [b?.digest],
      removed: [".new.999999999.1.00112233445566778899aabbccddeeff.0123456789abcdef"],
    });
    expect(await mountsHere()).toEqual([adopted.mounts[0]?.path]);
    expect(readdirSync(join(root, "mounts"))).toEqual([a?.digest]);
    expect(readdirSync(join(root, "store/pins"))).toHaveLength(1);
    await adopted.release();
    expect(await mountsHere()).toEqual([]);
  });

  it("orders layers by number and finds them by name, number and digest", async () => {
    const { digest } = await store.inspect("a");
    const names = (await store.resolve(["b", digest])).map(({ name }) => name);
    expect(names).toEqual(["100-a", "200-b"]);
  });

  it.each([
    ["layer/not-found", ["nothing"], /there is no layer nothing; there are 000-busybox, 000-host, 100-a, 200-b/],
    ["layer/not-found", ["f".repeat(64)], /no layer/],
    ["input/invalid", ["../../etc"], /not a layer's name/],
    ["input/invalid", ["100-a/../200-b"], /not a layer's name/],
    ["input/invalid", [""], /not a layer's name/],
    ["input/invalid", ["a", "100-a"], /layer 100-a is named twice/],
    ["input/invalid", [], /1 to 64 layers/],
    ["input/invalid", Array(65).fill("a"), /1 to 64 layers/],
  ] as const)("answers %s for %j", async (code, layers, message) => {
    const error = await refused(store.acquire(layers));
    expect(error).toMatchObject({ code });
    expect(error.message).toMatch(message);
  });

  it("refuses a short name that several layers have, and one layer under two names", async () => {
    await store.buildFromDirectory("300-a", makeTree("a", "a"));
    expect((await refused(store.acquire(["a"]))).message).toMatch(/100-a or 300-a/);
    expect((await refused(store.acquire(["100-a", "300-a"]))).message).toMatch(/300-a has the same content as 100-a/);
  });
});

describe("the host layer", () => {
  it("shows the machine's programs, and of /etc nothing that is not everybody's", async () => {
    await using lease = await store.acquire(["host"]);
    expect(lease.layers[0]).toMatchObject({ name: "000-host", format: "dir", provenance: { kind: "host" } });
    expect(lease.binds).toContainEqual({ source: "/usr", target: "/usr", readOnly: true, owner: "keep" });
    expect(mounter.mounts).toBe(0);
    const tree = lease.mounts[0]?.path ?? "";
    const entries = await readdir(tree, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(10);
    const shadow = join(tree, "etc/shadow");
    for (const file of files.filter((path) => path !== shadow))
      expect(lstatSync(file).mode & 0o7777, file).toBeOneOf([0o644, 0o755]);
    // Its own: nobody in it has a password.
    expect(lstatSync(shadow).mode & 0o7777).toBe(0o600);
    expect(readFileSync(shadow, "utf8")).toMatch(/^(\w+:\*:::::::\n)+$/);
    expect(entries.every((entry) => entry.isFile() || entry.isDirectory() || entry.isSymbolicLink())).toBe(true);
    for (const secret of ["gshadow", "ssl/private", "sudoers", "ssh", "machine-id"]) {
      expect(existsSync(join(tree, "etc", secret)), secret).toBe(false);
    }
    const accounts = readFileSync(join(tree, "etc/passwd"), "utf8")
      .split("\n")
      .map((line) => line.split(":")[0]);
    expect(accounts).toEqual(["root", "daemon", "user", "nobody", ""]);
  });

  it("runs a dynamically linked program and verifies a certificate store in it", async () => {
    await using lease = await store.acquire(["host"]);
    const script = `
      cp -a ${lease.mounts[0]?.path} ${root}/root
      ${lease.binds.map(({ source, target }) => `mount --bind ${source} ${root}/root${target}`).join("\n")}
      mount --rbind /dev ${root}/root/dev
      chroot ${root}/root /bin/sh -c 'id -un; ls /etc/ssl/certs/ca-certificates.crt; perl -e "print 6*7"'`;
    const { stdout } = await run("unshare", ["--mount", "sh", "-ec", script]);
    expect(stdout).toBe("root\n/etc/ssl/certs/ca-certificates.crt\n42");
  });

  it("is made once by many who ask at once, and quickly found again", async () => {
    const stores = [store, store, makeStore(), makeStore()];
    const leases = await Promise.all(stores.map((each) => each.acquire(["host"])));
    expect(new Set(leases.map(({ layers }) => layers[0]?.digest)).size).toBe(1);
    expect(stored()).toHaveLength(1);
    const { ctimeMs } = lstatSync(join(root, "store", stored()[0] ?? "", "tree"));
    await using again = await makeStore().acquire(["000-host"]);
    expect(lstatSync(again.mounts[0]?.path ?? "").ctimeMs).toBe(ctimeMs);
    await Promise.all(leases.map((lease) => lease.release()));
  });
});

describe("the busybox layer", () => {
  it("is a root file system that runs a shell and its tools", async () => {
    await using lease = await store.acquire(["busybox"]);
    const mount = lease.mounts[0]?.path ?? "";
    const line =
      "id -un; echo one two | /usr/bin/awk '{ print $2 }'; /usr/bin/env true && /sbin/ip -V >/dev/null; stat -c %a /tmp /root";
    const { stdout } = await run("chroot", [mount, "/bin/sh", "-c", line]);
    expect(stdout).toBe("root\ntwo\n1777\n700\n");
  });

  it("has the same digest wherever it is built", async () => {
    const elsewhere = makeStore({ storeDirectory: join(root, "elsewhere") });
    const [a, b] = await Promise.all([store.resolve(["busybox"]), elsewhere.resolve(["000-busybox"])]);
    expect(a[0]?.digest).toBe(b[0]?.digest);
  });

  it.each([
    ["is not there", "/nonexistent/busybox"],
    ["needs a C library", "/bin/true"],
    ["is no program", "/etc/hostname"],
  ])("names the Debian package when busybox %s", async (_, busybox) => {
    const error = await refused(makeStore({ busybox }).acquire(["busybox"]));
    expect(error).toMatchObject({ code: "host/missing" });
    expect(error.message).toMatch(/busybox-static/);
    expect(stored()).toEqual([]);
  });
});
