import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Plybox } from "../../src/client/index.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { end, isRunning, serve } from "../support/daemon-process.ts";
import { tarOf } from "../support/oci-image.ts";
import { mountsWith } from "../support/traces.ts";

const KILLER = fileURLToPath(new URL("../support/kill-at-write.mjs", import.meta.url));

let cli: BuiltCli;
let daemon: ChildProcess | undefined;
let client: Plybox;
let order: string;

beforeAll(async () => {
  cli = await BuiltCli.make();
  order = join(cli.directory, "kill-at");
  await comeBack();
  await client.layers.build("100-tool", tarOf([{ name: "etc/tool", content: "tool" }]));
  await client.layers.build("100-data", tarOf([{ name: "opt/data/tool", content: "tool" }]));
});
afterAll(async () => {
  await Promise.all((await client.list()).map((sandbox) => sandbox.remove()));
  client.close();
  if (daemon !== undefined) await end(daemon, "SIGTERM");
  expect(mountsWith(cli.directory)).toEqual([]);
  cli[Symbol.dispose]();
});

/** The daemon, another one where it was killed. */
async function comeBack(): Promise<void> {
  if (isRunning(daemon)) return;
  daemon = await serve(cli, { env: { NODE_OPTIONS: `--import=${KILLER}`, PLYBOX_TEST_KILL_AT: order } });
  client = new Plybox({ socketPath: join(cli.directory, "run/plybox.sock") });
}

/** What a sandbox stands on, once what it shows has been found to be that, and what it wrote to be there. */
async function standing(id: string): Promise<readonly string[]> {
  const sandbox = await client.get(id);
  await sandbox.start();
  const { stdout } = await sandbox.exec("cat /mine /etc/tool /opt/data/tool 2>/dev/null");
  const { layers } = await sandbox.inspect();
  expect(stdout).toBe(layers.length === 2 ? "minetool" : "mine");
  return layers;
}

it.each([
  { layer: "100-tool", what: "that ends processes", least: 5, keeps: false },
  { layer: "100-data", what: "that keeps them", least: 2, keeps: true },
])("at any write of an activation $what leaves what was, or what was to be", async ({ layer, least, keeps }) => {
  const seen = new Set<string>();
  let write = 0;
  for (let wasKilled = true; wasKilled; ) {
    write += 1;
    const sandbox = await client.create({ layers: ["busybox"] });
    await sandbox.exec("printf mine > /mine");
    const { exec } = await sandbox.detach("sleep 1000");
    writeFileSync(order, String(write));
    const closed = daemon === undefined ? Promise.resolve([]) : once(daemon, "close");
    await sandbox.activateLayer(layer).catch(() => {});
    // The last writes may come after the answer.
    if (!existsSync(order)) await closed;
    rmSync(order, { force: true });
    wasKilled = !isRunning(daemon);
    await comeBack();
    const found = await client.get(sandbox.id);
    if (keeps) expect(await found.inspectExec(exec)).toMatchObject({ running: true });
    seen.add((await standing(sandbox.id)).join(" "));
    await found.remove();
  }
  expect(write - 1).toBeGreaterThanOrEqual(least);
  expect([...seen].sort()).toEqual(["000-busybox", `000-busybox ${layer}`]);
  // Nothing holds it any more.
  await client.layers.remove(layer);
});
