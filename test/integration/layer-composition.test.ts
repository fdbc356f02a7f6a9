import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { runCli } from "../support/cli-context.ts";
import { tarOf } from "../support/oci-image.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = new TestDaemon({ SQUASH_COMP: "lz4", PLYBOX_SNAPSHOT_MEMORY: "1G" });
  await daemon.start();
  for (const name of ["100-low", "300-high"]) await build(name, { "etc/shared": name, [`etc/${name}`]: name });
  await build("200-mid", { "etc/shared": "200-mid", "etc/mid": "mid", "etc/.wh.300-high": "", "etc/.wh.100-low": "" });
});
afterAll(async () => daemon[Symbol.asyncDispose]());

const build = (name: string, files: Readonly<Record<string, string>>, parents: readonly string[] = []) =>
  daemon.client.layers.build(name, tarOf(Object.entries(files).map(([path, content]) => ({ name: path, content }))), {
    parents,
  });
const cli = (...args: readonly string[]) => runCli([...args, "--socket", daemon.config.socket]);
const sh = async (sandbox: Sandbox, line: string): Promise<string> => (await sandbox.exec(line)).stdout.trim();
const standing = async (sandbox: Sandbox): Promise<readonly string[]> => (await sandbox.inspect()).layers;
const STACK = ["000-busybox", "100-low", "200-mid", "300-high"];

describe("a layer that is activated", () => {
  it("goes where its number puts it, below layers that are there", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox", "high"] });
    await sh(sandbox, "echo mine > /etc/own; rm /etc/300-high; mkdir /srv; echo kept > /srv/file");
    const before = await sandbox.inspect();
    const mid = await sandbox.activateLayer("mid");
    expect(mid).toMatchObject({ changed: ["200-mid"], processes: "ended" });
    expect(mid.sandbox).toMatchObject({ id: before.id, hostname: before.hostname, limits: before.limits });
    expect(mid.sandbox.incarnation).toBe(before.incarnation + 1);
    // All that it has is hidden.
    expect(await sandbox.activateLayer("low")).toMatchObject({ changed: ["100-low"], processes: "kept" });
    expect(await standing(sandbox)).toEqual(STACK);
    // What is higher wins, what is hidden by a layer stays hidden below it alone, and what was written is on top.
    expect(await sh(sandbox, "cat /etc/shared; ls /etc/100-low /etc/300-high 2>&1 | wc -l")).toBe("300-high2");
    expect(await sh(sandbox, "cat /etc/own /srv/file")).toBe("mine\nkept");
  });

  it("shows as if the sandbox had been made on it", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    for (const layer of ["high", "low", "mid"]) await sandbox.activateLayer(layer);
    await using made = await daemon.client.create({ layers: ["busybox", "low", "mid", "high"] });
    const all = "find /etc -type f | LC_ALL=C sort; cat /etc/shared";
    expect(await sh(sandbox, all)).toBe(await sh(made, all));
  });

  it("changes nothing where the sandbox stands on it, and ends nothing", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox", "low"] });
    const { exec } = await sandbox.detach("sleep 1000");
    expect(await sandbox.activateLayer("low", { processes: "keep" })).toMatchObject({ changed: [], processes: "kept" });
    expect(await sandbox.inspectExec(exec)).toMatchObject({ running: true });
  });

  it("brings along what it was made on", async () => {
    await build("400-tool", { "etc/tool": "tool" }, ["low"]);
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    expect(await sandbox.activateLayer("tool")).toMatchObject({ changed: ["100-low", "400-tool"] });
    await expect(sandbox.deactivateLayer("low")).rejects.toMatchObject({ code: "layer/in-use" });
  });

  it("is held as long as the sandbox is, and let go of with it", async () => {
    await build("500-held", { "etc/held": "held" });
    const sandbox = await daemon.client.create({ layers: ["busybox"] });
    await sandbox.activateLayer("held");
    await expect(daemon.client.layers.remove("held")).rejects.toMatchObject({ code: "layer/in-use" });
    await sandbox.stop();
    await daemon.restart();
    await expect(daemon.client.layers.remove("held")).rejects.toMatchObject({ code: "layer/in-use" });
    await sandbox.start();
    expect(await sh(sandbox, "cat /etc/held")).toBe("held");
    expect(await sandbox.deactivateLayer("held")).toMatchObject({ changed: ["500-held"], processes: "ended" });
    expect(await sh(sandbox, "ls /etc/held")).toBe("");
    await daemon.client.layers.remove("held");
    await sandbox.remove();
  });

  it("stays with a sandbox that a later daemon takes over as it runs", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    await sandbox.activateLayer("low");
    const { exec } = await sandbox.detach("sleep 1000");
    await daemon.restart();
    expect(await sandbox.inspectExec(exec)).toMatchObject({ running: true });
    expect(await standing(sandbox)).toEqual(["000-busybox", "100-low"]);
    await sandbox.restart();
    expect(await sh(sandbox, "cat /etc/shared")).toBe("100-low");
  });

  it("waits for no processes where there are none", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    await sandbox.stop();
    expect(await sandbox.activateLayer("low", { processes: "keep" })).toMatchObject({
      changed: ["100-low"],
      processes: "none",
      sandbox: { state: { kind: "stopped" } },
    });
    await sandbox.start();
    expect(await sh(sandbox, "cat /etc/shared")).toBe("100-low");
  });
});

describe("what cannot be", () => {
  it("is refused, and changes nothing", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox", "low"] });
    const { exec } = await sandbox.detach("sleep 1000");
    const refusals = [
      [() => sandbox.activateLayer("missing"), "layer/not-found"],
      [() => sandbox.activateLayer("high", { processes: "keep" }), "layer/needs-restart"],
      [() => sandbox.deactivateLayer("low", { processes: "keep" }), "layer/needs-restart"],
      [() => sandbox.deactivateLayer("high"), "layer/not-found"],
      [() => sandbox.activateLayer("../x"), "input/invalid"],
    ] as const;
    for (const [attempt, code] of refusals) await expect(attempt()).rejects.toMatchObject({ code });
    await sandbox.pause();
    await expect(sandbox.activateLayer("high")).rejects.toMatchObject({ code: "sandbox/paused" });
    await sandbox.resume();
    expect(await standing(sandbox)).toEqual(["000-busybox", "100-low"]);
    expect(await sandbox.inspectExec(exec)).toMatchObject({ running: true });
  });

  it("is another layer of a name that is there, or no layer at all", async () => {
    await build("600-twice", { "etc/twice": "one" });
    await using sandbox = await daemon.client.create({ layers: ["busybox", "twice"] });
    await daemon.client.layers.build("600-twice", tarOf([{ name: "etc/twice", content: "two" }]), { replace: true });
    await expect(sandbox.activateLayer("twice")).rejects.toMatchObject({ code: "layer/exists" });
    await sandbox.deactivateLayer("twice");
    await sandbox.activateLayer("twice");
    expect(await sh(sandbox, "cat /etc/twice")).toBe("two");
    await sandbox.deactivateLayer("twice");
    await expect(sandbox.deactivateLayer("busybox")).rejects.toMatchObject({ code: "input/invalid" });
  });

  it("leaves the sandbox on what it had, and running, where it does not start on the layer", async () => {
    // A file where /proc is to be mounted.
    await build("700-broken", { proc: "no directory" });
    await using sandbox = await daemon.client.create({ layers: ["busybox", "low"] });
    await expect(sandbox.activateLayer("broken")).rejects.toMatchObject({ code: "sandbox/launch-failed" });
    expect(await sandbox.inspect()).toMatchObject({ layers: ["000-busybox", "100-low"], state: { kind: "running" } });
    expect(await sh(sandbox, "cat /etc/shared")).toBe("100-low");
    await daemon.client.layers.remove("broken");
  });
});

describe("a checkpoint", () => {
  const SPEC = { layers: ["busybox"], upper: { kind: "tmpfs", snapshots: true } } as const;

  it("brings its layers back, and so does what was kept before", async () => {
    await using sandbox = await daemon.client.create(SPEC);
    await sh(sandbox, "echo bare > /note");
    const bare = (await sandbox.checkpoint({ name: "bare" })).checkpoint;
    await sandbox.activateLayer("low");
    await sh(sandbox, "echo layered > /note; rm /etc/100-low");
    const { before } = await sandbox.restore("bare");
    expect(await standing(sandbox)).toEqual(["000-busybox"]);
    expect(await sh(sandbox, "cat /note; ls /etc/shared")).toBe("bare");
    await sandbox.restore(before ?? "");
    expect(await standing(sandbox)).toEqual(["000-busybox", "100-low"]);
    expect(await sh(sandbox, "cat /note /etc/shared; ls /etc/100-low")).toBe("layered\n100-low");
    const { sandboxes } = await sandbox.fork({ from: "bare" });
    expect(await standing(sandboxes[0] as Sandbox)).toEqual(["000-busybox"]);
    const [now] = (await sandbox.fork()).sandboxes as [Sandbox];
    expect(await sh(now, "cat /etc/shared")).toBe("100-low");
    for (const fork of [sandboxes[0] as Sandbox, now]) await fork.remove();
    await daemon.client.checkpoints.remove(bare.id);
  });

  it("of another sandbox on other layers is refused by name", async () => {
    await using other = await daemon.client.create(SPEC);
    const { checkpoint } = await other.checkpoint();
    await using sandbox = await daemon.client.create({ ...SPEC, layers: ["busybox", "low"] });
    await expect(sandbox.restore(checkpoint.id)).rejects.toMatchObject({ code: "checkpoint/unfit" });
  });
});

it("is done on the command line, which says what became of commands", async () => {
  await using sandbox = await daemon.client.create({ layers: ["busybox"], name: "composed" });
  const ended = "plybox: its commands were ended, and it was started again\n";
  expect(await cli("layer", "activate", "composed", "low")).toMatchObject({ stdout: "100-low\n", stderr: ended });
  const refused = await cli("layer", "deactivate", "--keep-processes", "composed", "low");
  expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("layer/needs-restart") });
  const { stdout } = await cli("layer", "deactivate", "--json", "composed", "low");
  expect(JSON.parse(stdout)).toMatchObject({ changed: ["100-low"], processes: "ended", sandbox: { id: sandbox.id } });
});
