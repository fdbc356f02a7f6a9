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
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LAYER_PACKINGS } from "../../src/layers/compression.ts";
import type { LayerStore } from "../../src/layers/layer-store.ts";
import { LayerBox } from "../support/layer-box.ts";
import { refused } from "../support/layer-trees.ts";

const run = promisify(execFile);

let box: LayerBox;
let root: string;
let store: LayerStore;

/** Adds a file of 1 TB without blocks, which takes mksquashfs longer to read than any test runs. */
function makeEndless(tree: string): void {
  writeFileSync(join(tree, "endless"), "");
  truncateSync(join(tree, "endless"), 1e12);
}

/** Node has no calls for extended attributes. */
const python = async (line: string, path: string): Promise<string> =>
  (await run("python3", ["-c", `import os, sys; ${line}`, path])).stdout;

function hasImage(): boolean {
  try {
    return readdirSync(join(root, "store"), { recursive: true }).some((file) => String(file).endsWith(".squashfs"));
  } catch {
    return false; // It is not there yet, or what is made in it went while it was listed.
  }
}

/** Looks again after each turn of the event loop; a hang ends the test. */
async function pollUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

function isRunning(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z");
  } catch {
    return false;
  }
}

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
    await store.make.fromDirectory(name, directory);`,
  );
  await run(join(repository, "node_modules/.bin/tsc"), ["-p", join(out, "tsconfig.json")]);
  return join(out, "build.js");
}

beforeEach(async () => {
  box = await LayerBox.make();
  ({ root, store } = box);
});
afterEach(() => box[Symbol.asyncDispose]());

describe("building", () => {
  it("gives the same tree the same digest, another tree another", async () => {
    const a = await store.make.fromDirectory("100-a", box.makeTree("a", "hello"));
    const b = await store.make.fromDirectory("101-b", box.makeTree("b", "hello"));
    const c = await store.make.fromDirectory("102-c", box.makeTree("c", "hallo"));
    expect(b.digest).toBe(a.digest);
    expect(c.digest).not.toBe(a.digest);
    expect((await store.list()).map(({ name }) => name)).toEqual(["100-a", "101-b", "102-c"]);
    expect(await store.inspect("b")).toEqual({ ...a, name: "101-b" });
    // The superblock's time of creation.
    expect(readFileSync(box.imageOf(a.digest)).readUInt32LE(8)).toBe(0);
    const sum = (await run("sha256sum", [box.imageOf(a.digest)])).stdout.slice(0, 64);
    expect(a).toMatchObject({
      name: "100-a",
      digest: sum,
      format: "squashfs",
      bytes: lstatSync(box.imageOf(a.digest)).size,
      compression: { algorithm: "zstd", level: 15, blockBytes: 131_072 },
      provenance: { kind: "directory", source: join(root, "a") },
    });
  });

  it("packs as the options say", async () => {
    const compression = { algorithm: "zstd", level: 3, blockBytes: 65_536 };
    const manifest = await box
      .makeStore({ packings: { ...LAYER_PACKINGS, squashfs: compression } })
      .make.fromDirectory("100-a", box.makeTree("a", "hello"));
    expect(manifest.compression).toEqual(compression);
    const superblock = (await run("unsquashfs", ["-s", box.imageOf(manifest.digest)])).stdout;
    expect(superblock).toMatch(/compression-level 3\n/);
    expect(superblock).toMatch(/Block size 65536/);
  });

  it("keeps owners, modes, links, attributes and names that are not text", async () => {
    const tree = box.makeTree("tree", "x");
    writeFileSync(join(tree, "theirs"), "y");
    chownSync(join(tree, "theirs"), 1000, 65_535);
    chmodSync(join(tree, "theirs"), 0o4750);
    symlinkSync("theirs", join(tree, "link"));
    const odd = Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x0a])]);
    writeFileSync(odd, "odd");
    await python("os.setxattr(sys.argv[1], 'trusted.plybox', b'kept')", join(tree, "theirs"));
    await store.make.fromDirectory("100-tree", tree);
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
    const tree = box.makeTree("tree", "hello");
    const onProgress = ({ doneBytes, totalBytes }: { doneBytes: number; totalBytes: number | null }) => {
      expect(totalBytes).toBe(5);
      seen.push(doneBytes);
    };
    await store.make.fromDirectory("100-a", tree, { onProgress });
    expect(seen.at(-1)).toBe(5);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it("builds again without complaint what is there, and refuses other content unless told to replace", async () => {
    const tree = box.makeTree("tree", "one");
    const first = await store.make.fromDirectory("100-a", tree);
    expect(await store.make.fromDirectory("100-a", tree)).toEqual(first);
    const other = box.makeTree("other", "two");
    expect(await refused(store.make.fromDirectory("100-a", other))).toMatchObject({ code: "layer/exists" });
    expect(box.stored()).toEqual([first.digest]);
    const second = await store.make.fromDirectory("100-a", other, { replace: true });
    expect(await store.inspect("a")).toEqual(second);
    expect(box.stored()).toEqual([second.digest]);
  });

  it("keeps a replaced layer for who stands on it", async () => {
    const first = await store.make.fromDirectory("100-a", box.makeTree("tree", "one"));
    const lease = await store.acquire(["a"]);
    const second = await store.make.fromDirectory("100-a", box.makeTree("tree", "two"), { replace: true });
    expect(readFileSync(join(lease.mounts[0]?.path ?? "", "etc/greeting"), "utf8")).toBe("one");
    await using adopted = await box.makeStore().adopt([first.digest]);
    expect(adopted.mounts).toEqual(lease.mounts);
    expect(box.stored().sort()).toEqual([first.digest, second.digest].sort());
    await adopted.release();
    await lease.release();
    await store.sweep();
    expect(box.stored()).toEqual([second.digest]);
  });

  it("lets one of several builds of a name win, and leaves nothing of the others", async () => {
    const stores = [store, box.makeStore(), box.makeStore(), box.makeStore()];
    const results = await Promise.allSettled(
      stores.map((each, i) => each.make.fromDirectory("100-a", box.makeTree(`tree${i}`, `content ${i}`))),
    );
    const won = results.filter((result) => result.status === "fulfilled");
    const lost = results.filter((result) => result.status === "rejected");
    expect(won).toHaveLength(1);
    expect(lost.map(({ reason }) => reason.code)).toEqual(Array(3).fill("layer/exists"));
    expect(box.stored()).toEqual([(await store.inspect("a")).digest]);
  });

  it("lets several builds of the same content share one layer", async () => {
    const tree = box.makeTree("tree", "same");
    const names = ["100-a", "101-b", "102-c", "103-d"];
    const manifests = await Promise.all(names.map((name) => box.makeStore().make.fromDirectory(name, tree)));
    expect(new Set(manifests.map(({ digest }) => digest)).size).toBe(1);
    expect(box.stored()).toHaveLength(1);
    await store.verify("a");
  });

  it("loses no layer to a sweep that runs before it has its name", async () => {
    let isBuilding = true;
    const building = Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        return box.makeStore().make.fromDirectory(`${100 + i}-a`, box.makeTree(`tree${i}`, `content ${i}`));
      }),
    ).finally(() => {
      isBuilding = false;
    });
    const sweeping = [store, box.makeStore(), box.makeStore()].map(async (each) => {
      while (isBuilding) await each.sweep();
    });
    await Promise.all([building, ...sweeping]);
    expect(await store.list()).toHaveLength(50);
    expect(box.stored()).toHaveLength(50);
  });

  it("refuses owner ids from 65536 on, naming the path", async () => {
    const tree = box.makeTree("tree", "x");
    chownSync(join(tree, "etc/greeting"), 65_536, 0);
    const error = await refused(store.make.fromDirectory("100-a", tree));
    expect(error).toMatchObject({ code: "input/invalid", field: "directory" });
    expect(error.message).toMatch(/"etc\/greeting" has owner id 65536/);
    chownSync(join(tree, "etc/greeting"), 0, 100_000);
    expect((await refused(store.make.fromDirectory("100-a", tree))).message).toMatch(/group id 100000/);
    expect(box.stored()).toEqual([]);
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
    box.makeTree("tree", "x");
    expect(await refused(store.make.fromDirectory(name, join(root, directory)))).toMatchObject({
      code: "input/invalid",
    });
    expect(existsSync(join(root, "store")) ? box.stored() : []).toEqual([]);
    expect(await store.list()).toEqual([]);
  });

  it("says so when the disk is full, and leaves nothing", async () => {
    const tree = box.makeTree("tree", "x");
    writeFileSync(join(tree, "random"), randomBytes(1 << 20));
    mkdirSync(join(root, "store"));
    await run("mount", ["-t", "tmpfs", "-o", "size=512k", "plybox-test", join(root, "store")]);
    try {
      const error = await refused(store.make.fromDirectory("100-a", tree));
      expect(error).toMatchObject({ code: "layer/build-failed" });
      expect(error.message).toMatch(/No space left/);
      expect(box.stored()).toEqual([]);
    } finally {
      await run("umount", [join(root, "store")]);
    }
  });

  it("leaves nothing when it is aborted", async () => {
    const tree = box.makeTree("tree", "x");
    makeEndless(tree);
    const abort = new AbortController();
    const building = store.make.fromDirectory("100-a", tree, { signal: abort.signal });
    const failure = refused(building);
    await pollUntil(hasImage);
    abort.abort();
    expect(await failure).toMatchObject({ code: "aborted" });
    expect(box.stored()).toEqual([]);
  });

  it("shows nothing of a build that was killed, and the next build clears it away", async () => {
    const tree = box.makeTree("tree", "x");
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
    expect(box.stored()).toHaveLength(1);
    await pollUntil(() => !isRunning(packer));
    const next = await store.make.fromDirectory("100-next", box.makeTree("next", "y"));
    expect(box.stored()).toEqual([next.digest]);
  });
});
