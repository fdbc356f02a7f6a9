import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import { findCgroups, parentsOf } from "../../src/sandbox/cgroup-layout.ts";
import { agentsOf, NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { cgroupsWith, mountsWith } from "../support/traces.ts";

let daemon: TestDaemon;
let stop: () => Promise<void>;

beforeEach(async () => {
  daemon = new TestDaemon();
  stop = (await daemon.start()).stop;
});
afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
  expect(mountsWith(daemon.directory)).toEqual([]);
  expect(cgroupsWith(cgroupParentOf(daemon.config.runDir))).toEqual([]);
});

const start = async (): Promise<void> => {
  stop = (await daemon.start()).stop;
};
const registryFile = (): string => join(daemon.config.stateDir, "registry.sqlite");
const upper = { kind: "disk" } as const;
const image = { kind: "disk", bytes: 16 * 1024 ** 2 } as const;
const create = (options = {}) => daemon.client.create({ layers: ["busybox"], ...options });
const stateOf = async ({ id }: Sandbox) => (await daemon.client.get(id)).view.state;

describe("after the machine's start", () => {
  const ANOTHER_BOOT = "0".repeat(32);
  let stranger: ChildProcess;

  beforeEach(async () => {
    stranger = spawn("sleep", ["600"]);
    await once(stranger, "spawn");
  });
  afterEach(() => void stranger.kill("SIGKILL"));

  /** What the machine's start does: every process ends, every mount goes, and /run is empty. */
  function reboot(sandboxes: readonly Sandbox[]): void {
    for (const pid of agentsOf(sandboxes.map(({ id }) => id))) process.kill(pid, "SIGKILL");
    for (const line of mountsWith(daemon.config.runDir)) execFileSync("umount", ["-l", line.split(" ")[4] ?? ""]);
    rmSync(daemon.config.runDir, { recursive: true });
  }

  /** As the registry would be if the stranger had the sandbox's pid and start time by now. */
  function nameStranger({ id }: Sandbox, boot: string | undefined): void {
    const stat = readFileSync(`/proc/${stranger.pid}/stat`, "utf8").replace(/^.*\) /, "");
    const state = { pid: stranger.pid, startTime: Number(stat.split(" ")[19]) };
    const database = new Database(registryFile(), { timeout: 0 });
    const set = "json_set(body, '$.state.pid', ?, '$.state.startTime', ?, '$.boot', coalesce(?, body ->> '$.boot'))";
    database
      .prepare(`UPDATE sandboxes SET body = ${set} WHERE id = ?`)
      .run(state.pid, state.startTime, boot ?? null, id);
    database.close();
  }

  it.each(["running", "paused"])("no process of now is taken for one of a sandbox that was %s", async (kind) => {
    const sandbox = await create({ upper });
    await sandbox.exec("echo kept > /file");
    if (kind === "paused") await sandbox.pause();
    await stop();
    reboot([sandbox]);
    nameStranger(sandbox, ANOTHER_BOOT);
    await start();
    expect(await stateOf(sandbox)).toEqual({ kind: "stopped", reason: { type: "exited", code: null, signal: null } });
    const found = await daemon.client.get(sandbox.id);
    await found.start();
    expect((await found.exec(["cat", "/file"])).stdout).toBe("kept\n");
    await found.remove();
    expect(stranger).toMatchObject({ exitCode: null, signalCode: null });
  });

  it("pid and start time of the same boot are believed: the boot is what told them apart", async () => {
    const sandbox = await create({ upper });
    await stop();
    reboot([sandbox]);
    nameStranger(sandbox, undefined);
    await start();
    expect(await stateOf(sandbox)).toEqual({ kind: "running", pid: stranger.pid });
    const ended = once(stranger, "exit");
    await (await daemon.client.get(sandbox.id)).remove();
    expect(await ended).toEqual([null, "SIGKILL"]);
  });
});

describe("what no registry knows", () => {
  function loseRegistry(): void {
    for (const name of readdirSync(daemon.config.stateDir)) {
      if (name.startsWith("registry.sqlite")) rmSync(join(daemon.config.stateDir, name));
    }
  }

  it("is taken away with its processes, but for what was written to disk and what others have", async () => {
    await using other = new TestDaemon();
    await other.start();
    const foreign = await other.client.create({ layers: ["busybox"] });
    const [running, paused, stopped, disk] = [await create(), await create(), await create(), await create({ upper })];
    const sized = await create({ upper: image });
    const lost = [running, paused, stopped, disk, sized].map(({ id }) => id);
    for (const sandbox of [disk, sized]) await sandbox.exec("echo kept > /file");
    await running.exec("(setsid sleep 600 &) ; (setsid sleep 600 &)");
    await paused.pause();
    await stopped.stop();
    await stop();
    expect(agentsOf(lost).length).toBeGreaterThanOrEqual(3);
    expect(remainsOf(daemon)).toMatchObject({ sockets: { length: 4 }, uppers: { length: 4 }, mounts: { length: 4 } });
    loseRegistry();

    await start();
    expect(await daemon.client.list()).toEqual([]);
    expect(agentsOf(lost)).toEqual([]);
    expect(remainsOf(daemon)).toEqual({ ...NOTHING, disks: [disk.id, `${sized.id}.ext4`] });
    const file = join(daemon.config.stateDir, "uppers", disk.id, "upper/file");
    expect(readFileSync(file, "utf8")).toBe("kept\n");
    const sizedImage = join(daemon.config.stateDir, "uppers", `${sized.id}.ext4`);
    expect(
      execFileSync("/usr/sbin/debugfs", ["-R", "cat /upper/file", sizedImage], { encoding: "utf8", stdio: "pipe" }),
    ).toBe("kept\n");
    expect((await foreign.exec(["echo", "on"])).stdout).toBe("on\n");
  });

  it("is left alone where it is not called as a sandbox is", async () => {
    await stop();
    const strange = ["s/notes.sock", "uppers/notes"].map((name) => join(daemon.config.runDir, name));
    for (const path of strange) mkdirSync(path);
    await start();
    expect(strange.map((path) => existsSync(path))).toEqual([true, true]);
  });

  it("stays where a daemon of another state directory has it, also while that does not run", async () => {
    const sandbox = await create();
    const env = { PLYBOX_STATE_DIR: join(daemon.directory, "other"), PLYBOX_RUN_DIR: daemon.config.runDir };
    const refused = expect.objectContaining({ code: "daemon/unreachable" });
    await using second = new TestDaemon(env);
    await expect(second.start()).rejects.toEqual(refused);
    await stop();
    await expect(second.start()).rejects.toEqual(refused);
    await start();
    expect((await (await daemon.client.get(sandbox.id)).exec(["echo", "on"])).stdout).toBe("on\n");
  });

  it("goes with one-shot runs that were killed", async () => {
    await stop();
    const slots = join(daemon.config.runDir, "run");
    const parent = `${cgroupParentOf(daemon.config.runDir)}-run-7`;
    const [made = ""] = parentsOf(findCgroups(readFileSync("/proc/mounts", "utf8")), parent, undefined);
    for (const path of [join(slots, "7/uppers"), join(slots, "8.new-1.2.3"), made])
      mkdirSync(path, { recursive: true });
    writeFileSync(join(slots, "7/owner"), `${process.pid}.1.${"0".repeat(32)}`);
    await start();
    expect(readdirSync(slots)).toEqual([]);
    expect(existsSync(made)).toBe(false);
  });
});
