import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { S3Store } from "../../src/snapshots/object-store/s3-store.ts";
import { Remote } from "../../src/snapshots/remote/remote.ts";
import { buildCli } from "../support/built-cli.ts";
import { ObjectServer } from "../support/object-server.ts";

const HOOK = new URL("../support/kill-at-change.mjs", import.meta.url).href;
const WORKER = fileURLToPath(new URL("../support/remote-worker.mjs", import.meta.url));
const BUCKET = "plybox-kills";
const PIECE_BYTES = 16 * 1024;
/** More than any operation takes: a bound for a loop that would not end. */
const MOST_CHANGES = 300;

let root: string;
let server: ObjectServer;
/** Has the layer and the one that it was made on; nobody changes it. */
let home: string;

const storeAt = (storeDirectory: string): LayerStore =>
  new LayerStore({
    ...{ storeDirectory, mountDirectory: join(root, "mounts"), unpack: true, log: console },
    mounter: { mountImage: async () => {}, unmount: async () => {} },
  });
const remoteOf = (prefix: string, store: LayerStore): Remote => {
  const credentials = { kind: "given", ...ObjectServer.credentials } as const;
  const where = { endpoint: server.endpoint, region: ObjectServer.region, bucket: BUCKET, credentials };
  return new Remote(new S3Store({ ...where, pieceBytes: PIECE_BYTES, retryMs: 1 }), prefix, store.transfer);
};

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "plybox-remote-kills-"));
  [server] = await Promise.all([ObjectServer.start(), buildCli()]);
  await server.makeBucket(BUCKET);
  home = join(root, "home");
  for (const [name, parents] of [
    ["100-base", []],
    ["101-child", ["base"]],
  ] as const) {
    mkdirSync(join(root, name));
    // The child goes in three parts, and comes in three ranges.
    writeFileSync(join(root, name, "file"), randomBytes(name === "100-base" ? 100 : 2 * PIECE_BYTES + 100));
    await storeAt(home).make.fromDirectory(name, join(root, name), { parents, packing: { algorithm: "lz4" } });
  }
  await remoteOf("whole", storeAt(home)).push(["child"]);
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

/** Runs an operation that is killed before its change, or its request, number `killAt`. */
function work(args: readonly string[], killAt: number, counts: "changes" | "requests"): Promise<"killed" | "done"> {
  const { accessKeyId, secretAccessKey } = ObjectServer.credentials;
  const env = {
    ...{ PLYBOX_TEST_KILL_AT: String(killAt), PLYBOX_TEST_COUNT: counts, PIECE_BYTES: String(PIECE_BYTES) },
    PATH: process.env.PATH,
    ...{ ENDPOINT: server.endpoint, ACCESS_KEY: accessKeyId, SECRET_KEY: secretAccessKey },
  };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ["--import", HOOK, WORKER, ...args], { env }, (error, _stdout, stderr) => {
      if (error === null) resolve("done");
      else if (error.signal === "SIGKILL") resolve("killed");
      else reject(new Error(stderr, { cause: error }));
    });
  });
}

/** Kills an operation before each of its steps in turn, two at a time; returns how many it has. */
async function atEveryChange(killedAt: (killAt: number) => Promise<"killed" | "done">): Promise<number> {
  let next = 1;
  let deaths = 0;
  let isOver = false;
  const worker = async (): Promise<void> => {
    while (!isOver && next < MOST_CHANGES) {
      if ((await killedAt(next++)) === "killed") deaths++;
      else isOver = true;
    }
  };
  await Promise.all([worker(), worker()]);
  expect(isOver).toBe(true);
  return deaths;
}

const leftIn = (directory: string): string[] =>
  readdirSync(directory).filter((file) => file !== "names" && file !== "pins");

it("a push that is killed before each of its requests leaves only whole layers to find, and the next one ends it", async () => {
  const deaths = await atEveryChange(async (killAt) => {
    const prefix = `push-${killAt}`;
    const outcome = await work([home, "push", "child", `${BUCKET}/${prefix}`], killAt, "requests");
    const elsewhere = storeAt(join(root, prefix));
    const remote = remoteOf(prefix, elsewhere);
    // All that has a name there comes, and is what it says.
    const found = await remote.sync();
    for (const { name, outcome: became } of found) {
      expect([killAt, name, became]).toEqual([killAt, name, "pulled"]);
      await elsewhere.verify(name);
    }
    await remoteOf(prefix, storeAt(home)).push(["child"]);
    expect((await remote.pull(["child"])).map(({ name }) => name)).toEqual(["100-base", "101-child"]);
    await elsewhere.verify("child");
    rmSync(join(root, prefix), { recursive: true });
    return outcome;
  });
  expect((await storeAt(home).list()).map(({ name }) => name)).toEqual(["100-base", "101-child"]);
  // Fewer would say that the hook does not see what is done.
  expect(deaths).toBeGreaterThan(12);
});

it("a pull that is killed before each change that it makes leaves whole layers or none, and the next one ends it", async () => {
  const deaths = await atEveryChange(async (killAt) => {
    const directory = join(root, `pull-${killAt}`);
    const outcome = await work([directory, "pull", "child", `${BUCKET}/whole`], killAt, "changes");
    const store = storeAt(directory);
    // Whatever has a name is whole, with nobody having cleared away anything.
    const names = (await store.list()).map(({ name }) => name);
    for (const name of names) await store.verify(name);
    if (names.includes("101-child" as never)) expect(names).toContain("100-base");
    await store.sweep();
    const digests = (await store.list()).map(({ digest }) => digest);
    expect([killAt, new Set(leftIn(directory))]).toEqual([killAt, new Set(digests)]);
    await remoteOf("whole", store).pull(["child"]);
    expect((await store.list()).map(({ name }) => name)).toEqual(["100-base", "101-child"]);
    for (const name of ["base", "child"]) await store.verify(name);
    expect(leftIn(directory)).toHaveLength(2);
    rmSync(directory, { recursive: true });
    return outcome;
  });
  expect(deaths).toBeGreaterThan(20);
});
