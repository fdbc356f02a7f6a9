import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LayerStoreOptions } from "../../src/layers/layer-store.ts";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { formatHeader } from "../../src/layers/tar/tar-header.ts";
import type { Collection, StorageUsage } from "../../src/model/storage.ts";
import { runCli } from "../support/cli-context.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const NO_SUCH_PROCESS = "4194304.1.00000000000000000000000000000000.0000000000000000";
const KIB = 1024;
const FILE = {
  ...{ name: "a", type: "0", mode: 0o644, uid: 0, gid: 0 },
  ...{ size: 0, mtime: 0, link: "", major: 0, minor: 0 },
};

let root: string;
let store: LayerStore;
const warnings: string[] = [];

function makeStore(options: Partial<LayerStoreOptions> = {}): LayerStore {
  return new LayerStore({
    storeDirectory: join(root, "store"),
    mountDirectory: join(root, "mounts"),
    mounter: { mountImage: async () => {}, unmount: async () => {} },
    log: { warn: (_, message) => void warnings.push(message) },
    idleMs: Number.POSITIVE_INFINITY,
    ...options,
  });
}

/** A layer of 100 KiB that was last used so many hours ago. */
async function build(name: string, hoursAgo: number, parents: readonly string[] = []): Promise<string> {
  const tree = join(root, `tree-${name}`);
  mkdirSync(tree, { recursive: true });
  writeFileSync(join(tree, "random"), randomBytes(100 * KIB));
  const { digest } = await store.make.fromDirectory(name, tree, { parents, packing: { algorithm: "lz4" } });
  const then = Date.now() / 1000 - hoursAgo * 3600;
  writeFileSync(join(root, "store", digest, "used"), "");
  utimesSync(join(root, "store", digest, "used"), then, then);
  return digest;
}

const stored = () => readdirSync(join(root, "store")).filter((file) => file !== "names" && file !== "pins");
const namesOf = ({ items }: Collection) => items.map(({ names, reason }) => `${names.join()} ${reason}`);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "plybox-storage-"));
  store = makeStore();
  warnings.length = 0;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("making room", () => {
  it("without a budget takes what has no name and what was left half made, and nothing else", async () => {
    await build("100-a", 1000);
    const orphan = await build("101-b", 1);
    rmSync(join(root, "store/names/101-b"));
    const left = join(root, "store", `.new.${NO_SUCH_PROCESS}`);
    mkdirSync(left);
    writeFileSync(join(left, "half"), randomBytes(8 * KIB));
    const wouldGo = await store.collect({ dryRun: true });
    expect(namesOf(wouldGo)).toEqual([" leftover", " unnamed"]);
    expect(wouldGo.items.map(({ digest }) => digest)).toEqual([null, orphan]);
    expect(wouldGo.freedBytes).toBeGreaterThan(108 * KIB);
    expect(stored()).toHaveLength(3);
    expect(await store.collect()).toEqual(wouldGo);
    expect(stored()).toHaveLength(1);
    expect(await store.collect()).toMatchObject({ items: [], freedBytes: 0, isOverBudget: false });
  });

  it("with a budget takes what was not used for longest until it is kept", async () => {
    await build("100-old", 30);
    await build("101-older", 40);
    await build("102-young", 10);
    const { layerBytes, reclaimableBytes } = await store.usage();
    expect(layerBytes).toBeGreaterThan(300 * KIB);
    expect(reclaimableBytes).toBe(layerBytes);
    const budgetBytes = Math.floor(layerBytes * 0.6);
    const wouldGo = await store.collect({ budgetBytes, dryRun: true });
    expect(namesOf(wouldGo)).toEqual(["101-older over-budget", "100-old over-budget"]);
    expect(await store.collect({ budgetBytes })).toEqual(wouldGo);
    expect((await store.list()).map(({ name }) => name)).toEqual(["102-young"]);
  });

  it("takes a use, also one that has ended, for a use", async () => {
    await build("100-used", 40);
    await build("101-never", 30);
    await using lease = await store.acquire(["used"]);
    await lease.release();
    await store.unmountIdle();
    const { layerBytes } = await store.usage();
    expect(namesOf(await store.collect({ budgetBytes: layerBytes - 1 }))).toEqual(["101-never over-budget"]);
  });

  it("never takes what is leased here or by another process's store, and what that was made on", async () => {
    await build("100-base", 50);
    await build("110-leased", 40, ["base"]);
    await build("120-elsewhere", 30);
    await build("130-idle", 20);
    await build("140-stopped", 10);
    const stopped = (await store.inspect("stopped")).digest;
    const other = makeStore({ mountDirectory: join(root, "others") });
    await using _here = await store.acquire(["leased"]);
    await using _there = await other.acquire(["elsewhere"]);
    await (await store.acquire(["idle"])).release();
    const careful = makeStore({ isStoodOn: async (digest) => digest === stopped });
    const usage = await careful.usage();
    expect(Object.fromEntries(usage.layers.map(({ names, inUse }) => [names.join(), inUse]))).toEqual({
      "100-base": true,
      "110-leased": true,
      "120-elsewhere": true,
      // Open in the other store for who comes next, which this one cannot tell from a use.
      "130-idle": true,
      "140-stopped": true,
    });
    expect(await careful.collect({ budgetBytes: 0 })).toMatchObject({ items: [], isOverBudget: true });
    const done = await store.collect({ budgetBytes: 0 });
    expect(namesOf(done)).toEqual(["140-stopped over-budget", "130-idle over-budget"]);
    expect(done.isOverBudget).toBe(true);
    expect((await store.list()).map(({ name }) => name)).toEqual(["100-base", "110-leased", "120-elsewhere"]);
    await expect(careful.remove("leased")).rejects.toMatchObject({ code: "layer/in-use" });
  });

  it("takes layers and then those that they were made on", async () => {
    await build("100-base", 50);
    await build("110-child", 40, ["base"]);
    expect(namesOf(await store.collect({ budgetBytes: 0 }))).toEqual(["110-child over-budget", "100-base over-budget"]);
    expect(stored()).toEqual([]);
    expect(readdirSync(join(root, "store/names"))).toEqual([]);
  });

  it("happens after a build where there is a budget, and spares what was built", async () => {
    await build("100-a", 20);
    await build("101-b", 10);
    store = makeStore({ budgetBytes: 150 * KIB });
    await build("102-c", 0);
    expect((await store.list()).map(({ name }) => name)).toEqual(["102-c"]);
    store = makeStore({ budgetBytes: KIB });
    await build("103-d", 0);
    expect((await store.list()).map(({ name }) => name)).toEqual(["103-d"]);
    expect(warnings).toEqual(["layers that are stood on take more than the budget"]);
  });

  it("loses nothing to builds, leases and others that make room at the same time", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `${100 + i}-layer`);
    let isDone = false;
    const collecting = [store, makeStore(), makeStore()].map(async (each) => {
      while (!isDone) await each.collect({ budgetBytes: 0 });
    });
    const leases = await Promise.all(
      names.map(async (name) => {
        for (;;) {
          await build(name, 0).catch(() => undefined);
          // It may be gone before it is leased; from then on it may not.
          const lease = await store.acquire([name]).catch((error) => {
            expect(error).toMatchObject({ code: "layer/not-found" });
          });
          if (lease !== undefined) return lease;
        }
      }),
    );
    isDone = true;
    await Promise.all(collecting);
    await store.collect({ budgetBytes: 0 });
    expect((await store.list()).map(({ name }) => name)).toEqual(names);
    for (const name of names) await store.verify(name);
    await Promise.all(leases.map((lease) => lease.release()));
    await store.collect({ budgetBytes: 0 });
    expect(stored()).toEqual([]);
  });
});

describe("df and gc", () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = new TestDaemon();
    await daemon.start();
  });
  afterAll(() => daemon[Symbol.asyncDispose]());

  const cli = (...args: readonly string[]) =>
    runCli(args, {
      env: {
        PLYBOX_STATE_DIR: daemon.config.stateDir,
        PLYBOX_RUN_DIR: daemon.config.runDir,
        PLYBOX_SOCKET: daemon.config.socket,
      },
    });

  it("spare the layer of a stopped sandbox, with the daemon and without it, until the sandbox is gone", async () => {
    const { client } = daemon;
    const empty = Buffer.alloc(1024);
    await client.layers.build("200-stood", empty);
    const sandbox = await client.create({ layers: ["busybox", "stood"], upper: { kind: "disk" } });
    await sandbox.stop();
    const usage = await client.storage.usage();
    expect(usage.layers.map(({ names, inUse }) => [names.join(), inUse])).toContainEqual(["200-stood", true]);
    await client.layers.build("201-free", Buffer.concat([formatHeader(FILE), empty]));
    const wouldGo = await client.storage.collect({ dryRun: true, budgetBytes: 0 });
    expect(wouldGo.items.map(({ names }) => names.join())).toEqual(["201-free"]);
    expect((await cli("gc", "--dry-run", "--budget", "0")).stdout).toMatch(
      /WOULD GO.*\n201-free .* over-budget\n\nwould free/,
    );
    expect((await cli("df")).stdout).toMatch(/200-stood .* yes\n(.|\n)*Reclaimable /);

    await daemon.stop();
    const alone = await cli("gc", "--budget", "0", "--json");
    expect(alone.exitCode).toBe(0);
    const gone = JSON.parse(alone.stdout).items.map(({ names }: { names: string[] }) => names.join());
    expect(gone).toEqual(["201-free"]);
    const removal = await cli("layer", "rm", "stood");
    expect([removal.exitCode, removal.stderr]).toEqual([125, expect.stringContaining("in use by a sandbox")]);
    const found: StorageUsage = JSON.parse((await cli("df", "--json")).stdout);
    expect(found.layers.filter(({ inUse }) => inUse)).toHaveLength(2);

    await daemon.start();
    await (await client.get(sandbox.id)).start();
    await (await client.get(sandbox.id)).remove();
    const rest = await client.storage.collect({ budgetBytes: 0 });
    expect(rest.items.map(({ names }) => names.join()).sort()).toEqual(["000-busybox", "200-stood"]);
    expect(existsSync(join(daemon.config.stateDir, "layers/names/200-stood"))).toBe(false);
  });

  it("refuse a budget that is none", async () => {
    expect(await cli("gc", "--budget", "much")).toMatchObject({ exitCode: 125 });
    await expect(daemon.client.storage.collect({ budgetBytes: -1 })).rejects.toMatchObject({ code: "input/invalid" });
  });
});
