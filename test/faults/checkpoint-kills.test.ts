import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { end, isRunning, serve } from "../support/daemon-process.ts";
import { tarOf } from "../support/oci-image.ts";
import { mountsWith } from "../support/traces.ts";

const KILLER = fileURLToPath(new URL("../support/kill-at-write.mjs", import.meta.url));
const SPEC = { layers: ["busybox"], upper: { kind: "tmpfs", snapshots: true } } as const;

let cli: BuiltCli;
let daemon: ChildProcess | undefined;
let client: Plybox;
let order: string;

beforeAll(async () => {
  cli = await BuiltCli.make();
  order = join(cli.directory, "kill-at");
  await comeBack();
});
afterAll(async () => {
  await Promise.all((await client.list()).map((sandbox) => sandbox.remove()));
  for (const { id } of await client.checkpoints.list()) await client.checkpoints.remove(id);
  client.close();
  if (daemon !== undefined) await end(daemon, "SIGTERM");
  expect(mountsWith(cli.directory)).toEqual([]);
  cli[Symbol.dispose]();
});

/** The daemon, another one where it was killed. */
async function comeBack(): Promise<void> {
  if (isRunning(daemon)) return;
  const env = { NODE_OPTIONS: `--import=${KILLER}`, PLYBOX_TEST_KILL_AT: order, PLYBOX_SNAPSHOT_MEMORY: "1G" };
  daemon = await serve(cli, { env });
  client = new Plybox({ socketPath: join(cli.directory, "run/plybox.sock") });
}

const sh = async (sandbox: Sandbox, line: string): Promise<string> => (await sandbox.exec(line)).stdout.trim();

/** A sandbox that holds `now`, with a checkpoint in which it held `then`. */
async function make(): Promise<Sandbox> {
  const sandbox = await client.create(SPEC);
  await sh(sandbox, "echo then > /file");
  await sandbox.checkpoint({ name: "then" });
  await sh(sandbox, "echo now > /file");
  return sandbox;
}

/** What is in the pool is what the registry knows, and every checkpoint can be had. */
async function expectWhole(): Promise<void> {
  const pool = join(cli.directory, "run/pools/memory");
  const sandboxes = await client.list();
  const uppers = readdirSync(join(pool, "uppers")).map((name) => name.split(".")[0]);
  expect(uppers.sort()).toEqual(sandboxes.map(({ id }) => id).sort());
  const checkpoints = await client.checkpoints.list();
  expect(checkpoints.map(({ state }) => state)).toEqual(checkpoints.map(() => "ready"));
  const there = checkpoints.filter(({ packed }) => packed === null || packed.inPool);
  expect(readdirSync(join(pool, "checkpoints")).sort()).toEqual(there.map(({ id }) => id).sort());
  const names = namesOf(join(cli.directory, "state/snapshots/packed/memory"));
  const packed = checkpoints.filter((each) => each.packed !== null);
  expect(names.map((name) => name.replace(/[@.].*/, "")).sort()).toEqual(packed.map(({ id }) => id).sort());
  const bases = new Set(names.flatMap((name) => /@(.*)\.zst$/.exec(name)?.[1] ?? []));
  expect(namesOf(join(pool, "bases")).sort()).toEqual([...bases].sort());
  expect(namesOf(join(pool, "unpacking"))).toEqual([]);
}

const namesOf = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);

interface KillOptions {
  readonly every?: number;
  /** What is done before anything is killed. */
  readonly prepare?: (sandbox: Sandbox) => Promise<unknown>;
  /** Whether each request to plytree counts as a write. */
  readonly countsRequests?: boolean;
  /** Whether what is done with files, programs and subvolumes counts, and nothing else. */
  readonly countsFiles?: boolean;
}

/** Does something while the daemon is killed before its write number 1, 1 + `every` and so on, until it gets through. */
async function killEverywhere(
  work: (sandbox: Sandbox) => Promise<unknown>,
  check: (id: string, isDone: boolean) => Promise<void>,
  { every = 1, prepare, countsRequests = false, countsFiles = false }: KillOptions = {},
): Promise<number> {
  for (let write = 1; ; write += every) {
    const { id } = await make();
    const sandbox = await client.get(id);
    await prepare?.(sandbox);
    writeFileSync(order, `${write} ${countsFiles ? "files" : countsRequests ? "all" : ""}`);
    const closed = daemon === undefined ? Promise.resolve([]) : once(daemon, "close");
    const isDone = await work(sandbox).then(
      () => true,
      () => false,
    );
    // The last writes may come after the answer: whoever takes the order away first has it.
    const wasKilled = !takeAway(order);
    if (wasKilled) await closed;
    await comeBack();
    await check(id, isDone && !wasKilled);
    await expectWhole();
    await Promise.all((await client.list()).map((each) => each.remove()));
    for (const each of await client.checkpoints.list()) await client.checkpoints.remove(each.id);
    if (!wasKilled) return write - 1;
  }
}

/** False where it is gone already. */
function takeAway(file: string): boolean {
  try {
    rmSync(file);
    return true;
  } catch {
    return false;
  }
}

/** What a sandbox holds that may have been stopped. */
async function contentOf(id: string): Promise<string> {
  const sandbox = await client.get(id);
  await sandbox.start();
  return await sh(sandbox, "cat /file");
}

describe("kill -9 of the daemon at any write", () => {
  it("of a checkpoint leaves it whole or not at all, and the sandbox as it was", async () => {
    const kills = await killEverywhere(
      (sandbox) => sandbox.checkpoint({ name: "new" }),
      async (id, isDone) => {
        const { checkpoints } = await (await client.get(id)).timeline();
        const names = checkpoints.map(({ name }) => name);
        if (isDone || names.length > 1) expect(names).toEqual(["then", "new"]);
        else expect(names).toEqual(["then"]);
        expect(await contentOf(id)).toBe("now");
      },
    );
    expect(kills).toBeGreaterThanOrEqual(3);
  });

  it("of a restore leaves what was, or what was to be", async () => {
    const seen = new Set<string>();
    const kills = await killEverywhere(
      (sandbox) => sandbox.restore("then"),
      async (id, isDone) => {
        const content = await contentOf(id);
        seen.add(content);
        expect(isDone ? ["then"] : ["then", "now"]).toContain(content);
        const timeline = await (await client.get(id)).timeline();
        expect(timeline.checkpoints[0]?.name).toBe("then");
        await (await client.get(id)).restore("then");
        expect(await contentOf(id)).toBe("then");
      },
    );
    expect(kills).toBeGreaterThanOrEqual(8);
    expect([...seen].sort()).toEqual(["now", "then"]);
  });

  it("of a fork leaves all of it or nothing, and the parent as it was", async () => {
    await killEverywhere(
      (sandbox) => sandbox.fork({ name: "fork" }),
      async (id, isDone) => {
        const forks = (await client.list()).filter((sandbox) => sandbox.id !== id);
        if (isDone) expect(forks).toHaveLength(1);
        for (const fork of forks) expect(await contentOf(fork.id)).toBe("now");
        expect(await contentOf(id)).toBe("now");
      },
    );
  });

  it("of a merge leaves what was, or all that was to be, and the merge can be had then", async () => {
    const forkOf = async (id: string) => (await client.list()).find((each) => each.id !== id)?.id ?? "";
    const all = "cat /file /new/deep /gone 2>&1; true";
    const held = async (id: string): Promise<string> => {
      const sandbox = await client.get(id);
      await sandbox.start();
      return (await sandbox.exec(all)).stdout;
    };
    const seen = new Set<string>();
    const kills = await killEverywhere(
      async (sandbox) => await sandbox.merge({ from: await forkOf(sandbox.id) }),
      async (id, isDone) => {
        const before = await held(id);
        seen.add(before);
        const merge = await (await client.get(id)).merge({ from: await forkOf(id) });
        const isMerged = merge.outcome === "unchanged";
        if (isDone) expect(isMerged).toBe(true);
        const after = await held(id);
        expect(after).toMatch(/^fork\nnew\ncat: .*gone.*No such file/);
        expect(before === after).toBe(isMerged);
        expect(readdirSync(join(cli.directory, "run/pools/memory/plans"))).toEqual([]);
      },
      {
        every: 13,
        countsRequests: true,
        prepare: async (sandbox) => {
          await sh(sandbox, "echo there > /gone");
          const { sandboxes } = await sandbox.fork();
          await sh(sandboxes[0] as Sandbox, "echo fork > /file; mkdir /new; echo new > /new/deep; rm /gone");
        },
      },
    );
    expect(kills).toBeGreaterThanOrEqual(50);
    expect(seen.size).toBe(2);
  });

  it("of packing, and of what unpacks it again, leaves each checkpoint as it was, packed or not", async () => {
    const pointOf = async (id: string) => (await (await client.get(id)).timeline()).checkpoints[0];
    const seen = new Set<string>();
    const kills = await killEverywhere(
      async (sandbox) => {
        await client.checkpoints.pack((await pointOf(sandbox.id))?.id ?? "");
        await sandbox.diff("then", { to: "later" });
      },
      async (id) => {
        expect(await contentOf(id)).toBe("now");
        const { name, packed } = (await pointOf(id)) ?? {};
        expect(name).toBe("then");
        seen.add(packed ? (packed.inPool ? "in both" : "packed") : "as it was");
        await (await client.get(id)).restore("then");
        expect(await contentOf(id)).toBe("then");
      },
      { countsFiles: true, prepare: (sandbox) => sandbox.checkpoint({ name: "later" }) },
    );
    expect(kills).toBeGreaterThanOrEqual(10);
    expect([...seen].sort()).toEqual(["as it was", "in both", "packed"]);
  });

  it("of a layer made of a sandbox leaves the sandbox as it was, and the layer whole or not there", async () => {
    await killEverywhere(
      (sandbox) => client.layers.fromSandbox("900-box", sandbox.id, { replace: true }),
      async (id, isDone) => {
        const isThere = (await client.layers.list()).some(({ name }) => name === "900-box");
        if (isDone) expect(isThere).toBe(true);
        if (isThere) {
          const other = await client.create({ layers: ["busybox", "900-box"] });
          expect(await sh(other, "cat /file")).toBe("now");
          await other.remove();
          await client.layers.remove("900-box");
        }
        expect(await contentOf(id)).toBe("now");
        expect((await (await client.get(id)).timeline()).checkpoints.map(({ name }) => name)).toEqual(["then"]);
      },
      { every: 2, countsRequests: true },
    );
  });

  it.each([
    { what: "ends processes", path: "etc/tool", least: 5, keeps: false },
    { what: "keeps them", path: "opt/tool/file", least: 1, keeps: true },
  ])("of an activation that $what leaves the layers that were, or were to be", async ({ path, least, keeps }) => {
    const layer = "100-tool";
    await client.layers.build(layer, tarOf([{ name: path, content: "tool" }]));
    const seen = new Set<string>();
    let exec = "";
    const kills = await killEverywhere(
      (sandbox) => sandbox.activateLayer(layer),
      async (id, isDone) => {
        const sandbox = await client.get(id);
        if (keeps) expect(await sandbox.inspectExec(exec)).toMatchObject({ running: true });
        expect(await contentOf(id)).toBe("now");
        const { layers } = await sandbox.inspect();
        if (isDone) expect(layers).toHaveLength(2);
        // What it stands on is what it shows, at once and from its next start on.
        const shown = layers.length === 2 ? "tool" : "";
        expect(await sh(sandbox, `cat /${path}`)).toBe(shown);
        await sandbox.restart();
        expect(await sh(sandbox, `cat /${path}; cat /file`)).toBe(`${shown}now`);
        seen.add(layers.join(" "));
      },
      { every: 2, prepare: async (sandbox) => ({ exec } = await sandbox.detach("sleep 1000")) },
    );
    expect(kills).toBeGreaterThanOrEqual(least);
    expect([...seen].sort()).toEqual(["000-busybox", "000-busybox 100-tool"]);
    // Nothing holds it any more.
    await client.layers.remove(layer);
  });

  it("of a removal finishes it, and keeps the checkpoint with a name", async () => {
    await killEverywhere(
      async (sandbox) => {
        await sandbox.checkpoint();
        await sandbox.remove();
      },
      async (id, isDone) => {
        const isThere = (await client.list()).some((sandbox) => sandbox.id === id);
        if (isDone) expect(isThere).toBe(false);
        if (isThere) expect(await contentOf(id)).toBe("now");
        const { checkpoints } = client;
        const kept = (await checkpoints.list()).filter(({ name }) => name === "then");
        const { sandboxes } = await checkpoints.fork(kept[0]?.id ?? "");
        expect(await sh(sandboxes[0] as Sandbox, "cat /file")).toBe("then");
      },
      { every: 2 },
    );
  });
});
