import type { ChildProcess } from "node:child_process";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Command, Sandbox } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { end, isRunning, launcherOf, serve } from "../support/daemon-process.ts";
import { mountsWith, processesWith } from "../support/traces.ts";

let cli: BuiltCli;
let daemon: ChildProcess;
let client: Plybox;

beforeAll(async () => {
  cli = await BuiltCli.make();
});
beforeEach(async () => {
  daemon = await restart();
});
afterAll(async () => {
  await Promise.all((await client.list()).map((sandbox) => sandbox.remove()));
  client.close();
  await end(daemon, "SIGTERM");
  expect(mountsWith(cli.directory)).toEqual([]);
  cli[Symbol.dispose]();
});

async function restart(): Promise<ChildProcess> {
  if (isRunning(daemon)) return daemon;
  const child = await serve(cli);
  client = new Plybox({ socketPath: join(cli.directory, "run/plybox.sock") });
  return child;
}

/** 400 numbered lines, and in the middle of them it waits until it is let go on. */
const COUNTER = "seq 0 199; until [ -e /tmp/go ]; do sleep 0.01; done; seq 200 399";

async function readSome(command: Command, bytes: number): Promise<string> {
  let text = "";
  for await (const event of command) {
    if (event.kind === "output") text += Buffer.from(event.bytes).toString();
    if (text.length >= bytes) break;
  }
  return text;
}

async function readRest(command: Command): Promise<{ text: string; lost: number; exitCode: number | null }> {
  let text = "";
  let lost = 0;
  for await (const event of command) {
    if (event.kind === "output") text += Buffer.from(event.bytes).toString();
    if (event.kind === "lost") lost += event.to - event.from;
  }
  return { text, lost, exitCode: (await command.exit).exitCode };
}

const ALL = Array.from({ length: 400 }, (_, i) => `${i}\n`).join("");

describe("a daemon that comes back after kill -9", () => {
  it.each([
    ["the daemon", (launcher: number) => void launcher],
    ["the daemon and its launcher", (launcher: number) => process.kill(launcher, "SIGKILL")],
  ])("%s: a command goes on, and its output is read on from where it was", async (_, also) => {
    const { id } = await client.create({});
    const command = await (await client.get(id)).spawn(COUNTER);
    const before = await readSome(command, 50);
    const { offsets, exec } = command;
    const launcher = launcherOf(daemon);
    // Stopped first: a daemon whose launcher ends starts another, and a launcher whose daemon ends goes by itself.
    daemon.kill("SIGSTOP");
    also(launcher);
    await end(daemon, "SIGKILL");
    client.close();
    daemon = await restart();

    const found = await client.get(id);
    expect((await found.inspect()).state.kind).toBe("running");
    expect(await found.execs()).toMatchObject([{ exec, running: true }]);
    await found.exec(["touch", "/tmp/go"]);
    const rest = await readRest(await found.attach(exec, offsets));
    expect(before + rest.text).toBe(ALL);
    expect(rest).toMatchObject({ lost: 0, exitCode: 0 });
    await found.remove();
  });

  it("serves sandboxes on when only the launcher is killed", async () => {
    const sandbox = await client.create({});
    const launcher = launcherOf(daemon);
    process.kill(launcher, "SIGKILL");
    await expect.poll(() => launcherIsNew(launcher)).toBe(true);
    expect((await sandbox.exec(["echo", "on"])).stdout).toBe("on\n");
    await using another = await client.create({});
    expect((await another.exec(["echo", "new"])).stdout).toBe("new\n");
    // Its end is still seen, by the launcher that took over.
    process.kill(processesWith(`--sandbox ${sandbox.id}`)[0] as number, "SIGKILL");
    await expect.poll(async () => (await sandbox.inspect()).state.kind).toBe("stopped");
    await sandbox.remove();
  });

  it("calls a sandbox lost whose processes and upper are gone, and takes it away when asked", async () => {
    const { id } = await client.create({ name: "fated" });
    await end(daemon, "SIGKILL");
    process.kill(processesWith(`--sandbox ${id}`)[0] as number, "SIGKILL");
    await expect.poll(() => processesWith(`--sandbox ${id}`)).toEqual([]);
    const upper = join(cli.directory, "run/uppers", id);
    execFileSync("umount", [upper]);
    client.close();
    daemon = await restart();
    const found: Sandbox = await client.get("fated");
    expect((await found.inspect()).state).toEqual({ kind: "lost", reason: { type: "upper-gone" } });
    await expect(found.exec(["true"])).rejects.toMatchObject({ code: "sandbox/lost", status: 410 });
    await found.remove();
    expect(readdirSync(join(cli.directory, "run/uppers"))).toEqual([]);
    expect(mountsWith(join(cli.directory, "run/uppers"))).toEqual([]);
  });

  it("does not start beside one that runs", async () => {
    const second = await cli.run(["serve"]);
    expect(second.exitCode).toBe(125);
    expect(second.stderr).toContain("another daemon");
    expect((await client.health()) !== undefined).toBe(true);
  });
});

function launcherIsNew(old: number): boolean {
  try {
    return launcherOf(daemon) !== old;
  } catch {
    return false;
  }
}
