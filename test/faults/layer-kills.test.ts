import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { buildCli } from "../support/built-cli.ts";

const HOOK = new URL("../support/kill-at-change.mjs", import.meta.url).href;
const WORKER = fileURLToPath(new URL("../support/store-worker.mjs", import.meta.url));
/** More than any operation takes: a bound for a loop that would not end. */
const MOST_CHANGES = 200;

let root: string;
/** A store with the layer that stays, the one that is replaced or collected, and what an earlier death left. */
let prepared: string;

beforeAll(async () => {
  await buildCli();
  root = mkdtempSync(join(tmpdir(), "plybox-kills-"));
  prepared = join(root, "prepared");
  for (const [tree, content] of Object.entries({ kept: "kept", old: "old", next: "new" })) {
    mkdirSync(join(root, tree));
    writeFileSync(join(root, tree, "file"), content.repeat(10_000));
  }
  execFileSync("tar", ["-C", join(root, "next"), "-czf", join(root, "next.tar.gz"), "."]);
  const store = storeAt(prepared);
  const packing = { algorithm: "lz4" };
  await store.make.fromDirectory("100-kept", join(root, "kept"), { packing });
  await store.make.fromDirectory("110-changed", join(root, "old"), { packing });
  const elsewhere = storeAt(join(root, "elsewhere"));
  await elsewhere.make.fromDirectory("110-changed", join(root, "next"), { packing });
  await using exported = await elsewhere.transfer.export(["changed"]);
  await writeFile(join(root, "next.layers"), exported.chunks());
  mkdirSync(join(prepared, ".new.4194304.1.00000000000000000000000000000000.0000000000000000"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const storeAt = (storeDirectory: string): LayerStore =>
  new LayerStore({
    ...{ storeDirectory, mountDirectory: join(root, "mounts"), unpack: true, log: console },
    mounter: { mountImage: async () => {}, unmount: async () => {} },
  });

/** Runs an operation that is killed before its change number `killAt`; undefined when it ended by itself before. */
function work(store: string, args: readonly string[], killAt: number): Promise<"killed" | "done"> {
  const env = { ...process.env, PLYBOX_TEST_KILL_AT: String(killAt) };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ["--import", HOOK, WORKER, store, ...args], { env }, (error, _stdout, stderr) => {
      if (error === null) resolve("done");
      else if (error.signal === "SIGKILL") resolve("killed");
      else reject(new Error(stderr, { cause: error }));
    });
  });
}

/** A copy of the prepared store, in which an operation died; what must be true of it then. */
async function killedAt(args: readonly string[], killAt: number): Promise<"killed" | "done"> {
  const directory = join(root, `store-${args[0]}-${killAt}`);
  cpSync(prepared, directory, { recursive: true, verbatimSymlinks: true });
  const outcome = await work(directory, args, killAt);
  // Whatever has a name is whole, with nobody having cleared away anything.
  const store = storeAt(directory);
  const layers = await store.list();
  for (const { name } of layers) await store.verify(name);
  const names = layers.map(({ name }) => name);
  if (args[0] !== "gc") expect(names).toEqual(["100-kept", "110-changed"]);
  // Whoever comes next clears away what is nobody's, and finds the names as they were.
  await store.sweep();
  const digests = new Set((await store.list()).map(({ digest }) => digest));
  const left = readdirSync(directory).filter((file) => file !== "names" && file !== "pins");
  expect([killAt, new Set(left)]).toEqual([killAt, digests]);
  expect((await store.list()).map(({ name }) => name)).toEqual(names);
  expect(readdirSync(join(directory, "names"))).toEqual(names);
  await store.make.fromDirectory("110-changed", join(root, "next"), { replace: true, packing: { algorithm: "lz4" } });
  rmSync(directory, { recursive: true });
  return outcome;
}

it.each([
  ["a build that replaces a layer", ["build-tar", "110-changed", "next.tar.gz"]],
  ["an import that replaces a layer", ["import", "110-changed", "next.layers"]],
  ["making room", ["gc"]],
])("%s, killed before each change that it makes, leaves nothing partial and loses nothing", async (_what, line) => {
  const [operation = "", name, source] = line;
  const args = [
    operation,
    ...(name === undefined ? [] : [name]),
    ...(source === undefined ? [] : [join(root, source)]),
  ];
  let next = 1;
  let deaths = 0;
  const isOver = { value: false };
  const worker = async (): Promise<void> => {
    while (!isOver.value && next < MOST_CHANGES) {
      const outcome = await killedAt(args, next++);
      if (outcome === "killed") deaths++;
      else isOver.value = true;
    }
  };
  await Promise.all([worker(), worker()]);
  expect(isOver.value).toBe(true);
  // Fewer would say that the hook does not see what is done.
  expect(deaths).toBeGreaterThan(operation === "gc" ? 6 : 12);
});
