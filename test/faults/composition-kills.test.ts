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
  const { stdout } = await sandbox.exec("cat /mine /etc/tool 2>/dev/null");
  const { layers } = await sandbox.inspect();
  expect(stdout).toBe(layers.length === 2 ? "minetool" : "mine");
  return layers;
}

it("leaves what a sandbox stood on, or what it was to stand on, at any write of an activation", async () => {
  const seen = new Set<string>();
  let write = 1;
  for (let wasKilled = true; wasKilled; write++) {
    const sandbox = await client.create({ layers: ["busybox"] });
    await sandbox.exec("printf mine > /mine");
    writeFileSync(order, String(write));
    const closed = daemon === undefined ? Promise.resolve([]) : once(daemon, "close");
    await sandbox.activateLayer("tool").catch(() => {});
    // The last writes may come after the answer.
    if (!existsSync(order)) await closed;
    rmSync(order, { force: true });
    wasKilled = !isRunning(daemon);
    await comeBack();
    seen.add((await standing(sandbox.id)).join(" "));
    await (await client.get(sandbox.id)).remove();
  }
  expect(write).toBeGreaterThan(5);
  expect([...seen].sort()).toEqual(["000-busybox", "000-busybox 100-tool"]);
  // Nothing holds it any more.
  await client.layers.remove("tool");
});
