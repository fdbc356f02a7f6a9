import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import { runCli } from "../support/cli-context.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { ObjectServer } from "../support/object-server.ts";
import { tarOf } from "../support/oci-image.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const BUCKET = "plybox-saves";

let server: ObjectServer;
let proxy: FaultProxy;
let here: TestDaemon;
let there: TestDaemon;

beforeAll(async () => {
  server = await ObjectServer.start();
  await server.makeBucket(BUCKET);
  proxy = await FaultProxy.between(server.endpoint);
  here = new TestDaemon(environment(proxy.endpoint));
  there = new TestDaemon(environment(server.endpoint));
  await Promise.all([here.start(), there.start()]);
});
afterAll(async () => {
  for (const daemon of [here, there]) await daemon?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const environment = (endpoint: string): NodeJS.ProcessEnv => ({
  PLYBOX_REMOTE: `s3://${BUCKET}/hosts`,
  PLYBOX_REMOTE_ENDPOINT: endpoint,
  PLYBOX_REMOTE_SANDBOXES: "true",
  PLYBOX_SNAPSHOT_MEMORY: "1G",
  SQUASH_COMP: "lz4",
  AWS_ACCESS_KEY_ID: ObjectServer.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: ObjectServer.credentials.secretAccessKey,
});

const sh = async (sandbox: Sandbox, line: string): Promise<string> => {
  const { exitCode, stdout, stderr } = await sandbox.exec(line);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return stdout.trim();
};

/**
 * Everything in some places that is kept: names, types, modes, owners, times to the second, links, bytes. What each start
 * makes anew is not.
 */
const SHOWN = `for d in /srv /etc /root; do find $d ! -name host* ! -name resolv.conf -exec stat -c '%n %F %a %u:%g %Y %h' {} +; done | LC_ALL=C sort
  find /srv /etc /root -type f ! -name host* -exec sha256sum {} + | LC_ALL=C sort`;
const WRITE = `mkdir -p /srv/dir && echo text > /srv/dir/file && ln /srv/dir/file /srv/dir/hard && ln -s file /srv/dir/soft
  chmod 2750 /srv/dir && chown 1000:1001 /srv/dir/file && rm /etc/group && echo mine > /etc/passwd.own`;

/** What a host has of sandboxes, and of the layers that they were saved as. */
const left = ({ config }: TestDaemon): readonly string[] => [
  ...readdirSync(join(config.runDir, "uppers")),
  ...readdirSync(join(config.stateDir, "layers/names")).filter((name) => name.startsWith("999-save.")),
];

describe("a sandbox that is removed", () => {
  it("begins on another host where it ended, again and again", async () => {
    await here.client.layers.build("100-tool", tarOf([{ name: "opt/tool", content: "tool" }]));
    await here.client.remote.push(["100-tool"]);
    let sandbox = await here.client.create({ name: "web", layers: ["busybox", "tool"] });
    await sh(sandbox, WRITE);
    let shown = await sh(sandbox, SHOWN);
    for (const [round, host] of [there, here, there].entries()) {
      await sandbox.remove();
      sandbox = await host.client.create({ name: "web", restore: "web" });
      expect(await sh(sandbox, SHOWN)).toBe(shown);
      expect(await sh(sandbox, "cat /opt/tool")).toBe("tool");
      // However often it is saved, it stands on one layer more than at first.
      expect(sandbox.view.layers).toEqual(["000-busybox", "100-tool", "999-save.default.web"]);
      await sh(sandbox, `echo ${round} > /srv/round; rm -f /srv/gone-$((${round} - 1)); touch /srv/gone-${round}`);
      if (round === 1) await sh(sandbox, "rm -r /srv/dir; mkdir /srv/dir; echo new > /srv/dir/only");
      shown = await sh(sandbox, SHOWN);
    }
    await sandbox.remove();
    expect(left(here)).toEqual([]);
  });

  it("leaves nothing where that is asked for", async () => {
    await (await here.client.create({ name: "brief", layers: ["busybox"] })).remove({ save: false });
    const refusal = { code: "checkpoint/not-found", message: expect.stringContaining("brief") };
    await expect(there.client.create({ restore: "brief" })).rejects.toMatchObject(refusal);
  });

  it("stays, stopped, while it cannot be saved", async () => {
    const sandbox = await here.client.create({ name: "kept", layers: ["busybox"] });
    await sh(sandbox, "echo kept > /root/file");
    proxy.fault = ({ method }) => (method === "PUT" ? { kind: "status", status: 403 } : undefined);
    await expect(sandbox.remove()).rejects.toMatchObject({ code: "remote/refused" });
    expect((await sandbox.inspect()).state).toMatchObject({ kind: "stopped" });
    await expect(sandbox.stop()).rejects.toMatchObject({ code: "remote/refused" });
    proxy.fault = () => undefined;
    await sandbox.remove();
    await using restored = await there.client.create({ restore: "kept" });
    expect(await sh(restored, "cat /root/file")).toBe("kept");
  });
});

describe("a sandbox that is stopped", () => {
  it("is saved by then, once for each time that it ran", async () => {
    const sandbox = await here.client.create({ upper: { kind: "tmpfs", snapshots: true }, layers: ["busybox"] });
    const puts = (): number => proxy.passed.filter(({ method }) => method === "PUT").length;
    await sh(sandbox, "echo one > /root/file");
    await sandbox.stop();
    const sent = puts();
    const { value: event } = await here.client
      .events({ sandbox: sandbox.id, types: ["sandbox.saved"], after: 0 })
      .next();
    expect(event).toMatchObject({ type: "sandbox.saved", data: { bytes: expect.any(Number) } });
    await sandbox.stop();
    expect(puts()).toBe(sent);
    const copy = await there.client.create({ restore: sandbox.id });
    expect(await sh(copy, "cat /root/file")).toBe("one");
    await sandbox.start();
    await sh(sandbox, "echo two > /root/file");
    await sandbox.remove();
    expect(puts()).toBeGreaterThan(sent);
    await copy.remove({ save: false });
    await using again = await there.client.create({ restore: sandbox.id });
    expect(await sh(again, "cat /root/file")).toBe("two");
  });

  it("is saved by the next daemon too, where its processes ended by themselves while nothing could be", async () => {
    const daemon = new TestDaemon(environment(proxy.endpoint));
    await using _daemon = daemon;
    await daemon.start({ retryMs: 50 });
    const sandbox = await daemon.client.create({ name: "alone", layers: ["busybox"] });
    await sh(sandbox, "echo alone > /root/file");
    proxy.fault = ({ method }) => (method === "PUT" ? { kind: "status", status: 403 } : undefined);
    const { state } = await sandbox.inspect();
    process.kill((state as { readonly pid: number }).pid, "SIGKILL");
    const events = daemon.client.events({ types: ["sandbox.state"], sandbox: sandbox.id, after: 0 });
    for await (const event of events) {
      if (event.type === "sandbox.state" && event.data.state === "stopped") break;
    }
    const refusals = proxy.passed.length;
    while (proxy.passed.length === refusals) await sandbox.inspect();
    await daemon.restart({ retryMs: 50 });
    proxy.fault = () => undefined;
    const isMissing = (error: { readonly code: string }): undefined => {
      expect(error.code).toBe("checkpoint/not-found");
    };
    let restored: Sandbox | undefined;
    while (restored === undefined) restored = await there.client.create({ restore: "alone" }).catch(isMissing);
    expect(await sh(restored, "cat /root/file")).toBe("alone");
    await restored.remove({ save: false });
  });
});

describe("what was saved", () => {
  it("on this machine's own layer stands on the other machine's", async () => {
    const sandbox = await here.client.create({ name: "hosted" });
    await sh(sandbox, "echo hosted > /root/file");
    await sandbox.remove();
    await using restored = await there.client.create({ restore: "hosted" });
    expect(restored.view.layers).toEqual(["000-host", "999-save.default.hosted"]);
    expect(await sh(restored, "cat /root/file; test -x /usr/bin/env && echo there")).toBe("hosted\nthere");
  });

  it("is nobody else's to stand on, nor another tenant's to restore", async () => {
    await using mine = await here.client.create({ name: "private", layers: ["busybox"] });
    await mine.stop();
    await using _restored = await there.client.create({ restore: "private" });
    const save = "999-save.default.private";
    const missing = { code: "layer/not-found" };
    await expect(there.client.create({ layers: ["busybox", save] })).rejects.toMatchObject(missing);
    await using box = await there.client.create({ layers: ["busybox"] });
    await expect(box.activateLayer(save)).rejects.toMatchObject(missing);
    const { secret } = await there.client.keys.create({
      ...{ name: "t", tenant: "other", scopes: ["sandboxes:read", "sandboxes:write", "exec", "layers:read"] },
    });
    const other = new Plybox({ socketPath: there.config.socket, token: secret });
    await expect(other.create({ restore: "private" })).rejects.toMatchObject({ code: "checkpoint/not-found" });
    expect((await other.layers.list()).map(({ name }) => name)).not.toContain(save);
    await expect(other.layers.get(save)).rejects.toMatchObject(missing);
    other.close();
  });

  it("is asked for on the command line", async () => {
    const cli = (daemon: TestDaemon, ...args: readonly string[]) => runCli([...args, "--socket", daemon.config.socket]);
    expect(await cli(here, "create", "lined", "--layer", "busybox")).toMatchObject({ exitCode: 0 });
    expect(await cli(here, "rm", "lined")).toMatchObject({ exitCode: 0 });
    expect(await cli(there, "create", "again", "--restore", "lined")).toMatchObject({ stdout: "again\n" });
    expect(await cli(there, "rm", "--no-save", "again")).toMatchObject({ exitCode: 0 });
    const unsaved = await cli(there, "create", "--restore", "again");
    expect(unsaved).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("checkpoint/not-found") });
  });
});

it("is refused what cannot be saved, and a restore where nothing is", async () => {
  const sized = here.client.create({ upper: { kind: "disk", bytes: 64 * 1024 ** 2 } });
  await expect(sized).rejects.toMatchObject({ code: "input/invalid", field: "upper" });
  const both = here.client.create({ restore: "web", layers: ["busybox"] });
  await expect(both).rejects.toMatchObject({ code: "input/invalid", field: "layers" });
  await using plain = new TestDaemon();
  await plain.start();
  await expect(plain.client.create({ restore: "web" })).rejects.toMatchObject({
    code: "input/invalid",
    field: "restore",
  });
  expect(existsSync(join(plain.config.stateDir, "layers/names"))).toBe(true);
});
