import { lstatSync, mkdirSync, readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LayerStore } from "../../src/layers/layer-store.ts";
import { LayerBox } from "../support/layer-box.ts";
import { refused } from "../support/layer-trees.ts";

let box: LayerBox;
let root: string;
let store: LayerStore;

async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, position);
  await file.close();
}

beforeEach(async () => {
  box = await LayerBox.make();
  ({ root, store } = box);
});
afterEach(() => box[Symbol.asyncDispose]());

describe("verification", () => {
  it.each([
    ["truncated", async (image: string) => truncateSync(image, 4096 - 100)],
    ["with one flipped bit", async (image: string) => await flipByte(image, 200)],
    ["replaced by nothing", async (image: string) => await rm(image)],
  ])("refuses an image %s by its layer's name and mounts nothing", async (_, damage) => {
    const { digest } = await store.make.fromDirectory("100-a", box.makeTree("tree", "x"));
    await (await store.acquire(["a"])).release();
    await damage(box.imageOf(digest));
    const mountsBefore = box.mounter.mounts;
    for (const each of [store, box.makeStore()]) {
      const error = await refused(each.acquire(["a"]));
      expect(error).toMatchObject({ code: "layer/corrupt" });
      expect(error.message).toMatch(/layer 100-a is corrupt/);
    }
    expect(box.mounter.mounts).toBe(mountsBefore);
    expect(readdirSync(join(root, "mounts"))).toEqual([]);
  });

  it("reads an image again when its bytes change under the same size and time", async () => {
    const { digest } = await store.make.fromDirectory("100-a", box.makeTree("tree", "x"));
    await (await store.acquire(["a"])).release();
    const { atime, mtime } = lstatSync(box.imageOf(digest));
    await flipByte(box.imageOf(digest), 200);
    utimesSync(box.imageOf(digest), atime, mtime);
    expect(await refused(box.makeStore().acquire(["a"]))).toMatchObject({ code: "layer/corrupt" });
  });

  it("mends a damaged layer when it is built again", async () => {
    const tree = box.makeTree("tree", "x");
    const { digest } = await store.make.fromDirectory("100-a", tree);
    await flipByte(box.imageOf(digest), 200);
    expect(await refused(store.verify("a"))).toMatchObject({ code: "layer/corrupt" });
    await store.make.fromDirectory("100-a", tree);
    await store.verify("a");
    await using _ = await store.acquire(["a"]);
    expect(box.stored()).toEqual([digest]);
  });

  it.each([
    ["cut off", '{"name": "100-a"'],
    ["of another layer", JSON.stringify({ name: "100-a", digest: "0".repeat(64) })],
    ["with an unknown field", '{"surprise": 1}'],
  ])("refuses a manifest %s, and lists the other layers", async (_, manifest) => {
    const a = await store.make.fromDirectory("100-a", box.makeTree("a", "a"));
    const b = await store.make.fromDirectory("101-b", box.makeTree("b", "b"));
    writeFileSync(join(root, "store", a.digest, "manifest.json"), manifest);
    const fresh = box.makeStore();
    expect(await fresh.list()).toEqual([b]);
    expect(await refused(fresh.inspect("a"))).toMatchObject({ code: "layer/corrupt" });
    expect(box.warnings.splice(0)).toEqual(["a layer cannot be read"]);
  });
});

describe("leases", () => {
  beforeEach(async () => {
    await store.make.fromDirectory("100-a", box.makeTree("a", "a"));
    await store.make.fromDirectory("200-b", box.makeTree("b", "b"));
  });

  it("mounts each layer once for twenty leases at once, and unmounts it with the last", async () => {
    const leases = await Promise.all(Array.from({ length: 20 }, () => store.acquire(["200-b", "a"])));
    expect(box.mounter.mounts).toBe(2);
    const digests = (await store.list()).map(({ digest }) => digest);
    const mounts = digests.map((digest) => ({ path: join(root, "mounts", digest), idmap: true }));
    for (const lease of leases) expect(lease.mounts).toEqual(mounts);
    expect((await box.mountsHere()).sort()).toEqual(mounts.map(({ path }) => path).sort());
    const options = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .find((line) => line.includes(mounts[0]?.path ?? "?"));
    expect(options).toMatch(/ ro,nosuid,nodev/);
    const last = leases.pop();
    await Promise.all(leases.map((lease) => lease.release()));
    expect(await box.mountsHere()).toHaveLength(2);
    await last?.release();
    expect(await box.mountsHere()).toEqual([]);
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
    expect(await box.mountsHere()).toEqual([]);
  });

  it("counts a lease that is released twice once", async () => {
    await using kept = await store.acquire(["a"]);
    const lease = await store.acquire(["a"]);
    await Promise.all([lease.release(), lease.release()]);
    await lease[Symbol.asyncDispose]();
    expect(await box.mountsHere()).toEqual([kept.mounts[0]?.path]);
  });

  it("keeps an idle image mounted for the next lease until it is told not to", async () => {
    const patient = box.makeStore({ idleMs: Number.POSITIVE_INFINITY });
    await (await patient.acquire(["a", "b"])).release();
    expect(await box.mountsHere()).toHaveLength(2);
    await using lease = await patient.acquire(["a"]);
    expect(box.mounter.mounts).toBe(2);
    await patient.unmountIdle();
    expect(await box.mountsHere()).toEqual([lease.mounts[0]?.path]);
    await lease.release();
    await patient.unmountIdle();
    expect(await box.mountsHere()).toEqual([]);
  });

  it("unmounts an idle image when its time is over", async () => {
    const brief = box.makeStore({ idleMs: 1 });
    await (await brief.acquire(["a"])).release();
    while ((await box.mountsHere()).length > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it("holds nothing when one of its layers cannot be had", async () => {
    const { digest } = await store.inspect("b");
    truncateSync(box.imageOf(digest), 10);
    expect(await refused(store.acquire(["a", "b"]))).toMatchObject({ code: "layer/corrupt" });
    expect(await box.mountsHere()).toEqual([]);
    await store.remove("a");
  });

  it("refuses to remove a layer while it is leased, here or in another process, and then removes it", async () => {
    const other = box.makeStore({ mountDirectory: join(root, "other-mounts") });
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
    expect(box.stored()).toHaveLength(1);
  });

  it("removes a layer that is idle but still mounted", async () => {
    const patient = box.makeStore({ idleMs: Number.POSITIVE_INFINITY });
    await (await patient.acquire(["a"])).release();
    await patient.remove("a");
    expect(await box.mountsHere()).toEqual([]);
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
    truncateSync(box.imageOf(a?.digest ?? ""), 4000);
    const next = box.makeStore();
    expect(await refused(next.remove("a"))).toMatchObject({ code: "layer/in-use" });
    const adopted = await next.adopt([a?.digest ?? ""]);
    expect(box.mounter.mounts).toBe(2);
    expect(await next.sweep()).toEqual({
      unmounted: [b?.digest],
      removed: [".new.999999999.1.00112233445566778899aabbccddeeff.0123456789abcdef"],
    });
    expect(await box.mountsHere()).toEqual([adopted.mounts[0]?.path]);
    expect(readdirSync(join(root, "mounts"))).toEqual([a?.digest]);
    expect(readdirSync(join(root, "store/pins"))).toHaveLength(1);
    await adopted.release();
    expect(await box.mountsHere()).toEqual([]);
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
    await store.make.fromDirectory("300-a", box.makeTree("a", "a"));
    expect((await refused(store.acquire(["a"]))).message).toMatch(/100-a or 300-a/);
    expect((await refused(store.acquire(["100-a", "300-a"]))).message).toMatch(/300-a has the same content as 100-a/);
  });
});
