import type { ChildProcess } from "node:child_process";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Database from "better-sqlite3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CreateOptions, Sandbox, SandboxView } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { cgroupsWith, mountsWith, processesWith } from "../support/traces.ts";

let cli: BuiltCli;
let daemon: ChildProcess | undefined;
let client: Plybox;

beforeAll(async () => {
  cli = await BuiltCli.make();
});
beforeEach(async () => {
  await serve();
});
afterAll(async () => {
  await Promise.all((await client.list()).map((sandbox) => sandbox.remove()));
  client.close();
  await end("SIGTERM");
  expect(mountsWith(cli.directory)).toEqual([]);
  cli[Symbol.dispose]();
});

async function serve(): Promise<void> {
  if (daemon !== undefined) return;
  daemon = cli.start(["serve"]);
  daemon.stderr?.resume();
  if (daemon.stdout !== null) await once(createInterface(daemon.stdout), "line");
  client = new Plybox({ socketPath: join(cli.directory, "run/plybox.sock") });
}

async function end(signal: NodeJS.Signals): Promise<void> {
  if (daemon === undefined) return;
  const closed = once(daemon, "close");
  daemon.kill(signal);
  await closed;
  client.close();
  daemon = undefined;
}

const create = (spec: CreateOptions = {}) => client.create({ layers: ["busybox"], ...spec });
const found = async ({ id }: Sandbox) => await client.get(id);
const agentOf = ({ id }: Sandbox) => processesWith(`--sandbox ${id}`)[0] as number;
const upperOf = ({ id, view }: Sandbox) =>
  join(cli.directory, view.upper.kind === "disk" ? "state/uppers" : "run/uppers", id);
const freezerOf = ({ id }: Sandbox) => cgroupsWith("/freezer/").find((path) => path.endsWith(id)) ?? "";
const freezerState = (sandbox: Sandbox) => readFileSync(join(freezerOf(sandbox), "freezer.state"), "utf8").trim();

/** As a daemon that was killed right behind a write leaves the registry; nobody has it open. */
function writeState({ id }: Sandbox, state: object): void {
  const database = new Database(join(cli.directory, "state/registry.sqlite"), { timeout: 0 });
  const read = database.prepare<[string], { body: string }>("SELECT body FROM sandboxes WHERE id = ?");
  const body = JSON.parse(read.get(id)?.body ?? "") as Record<string, unknown>;
  database.prepare("UPDATE sandboxes SET body = ? WHERE id = ?").run(JSON.stringify({ ...body, state }), id);
  database.close();
}

const processesOf = (sandbox: Sandbox) => {
  const pid = agentOf(sandbox);
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return { pid, startTime: Number(stat[19]) };
};

/** The kernel takes a moment to end what was killed. */
async function kill(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await expect.poll(() => pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
}

async function nothingRuns(sandbox: Sandbox): Promise<void> {
  expect(processesWith(sandbox.id)).toEqual([]);
  expect(cgroupsWith(sandbox.id)).toEqual([]);
}

/** Each state as the registry has it when a daemon is killed in it, and what the next one makes of it. */
const LEFT_BEHIND: Record<string, { leave: (sandbox: Sandbox) => object; find: Partial<SandboxView> }> = {
  "running, but frozen: a pause that was not announced": {
    leave: (sandbox) => ({ kind: "running", ...processesOf(sandbox) }),
    find: { state: { kind: "running", pid: expect.any(Number) }, incarnation: 1 },
  },
  paused: {
    leave: (sandbox) => ({ kind: "paused", ...processesOf(sandbox) }),
    find: { state: { kind: "paused", pid: expect.any(Number) }, incarnation: 1 },
  },
  "stopping, nothing of it done yet": {
    leave: (sandbox) => ({ kind: "stopping", ...processesOf(sandbox), reason: { type: "idle", idleMs: 7 } }),
    find: { state: { kind: "stopped", reason: { type: "idle", idleMs: 7 } }, incarnation: 1 },
  },
  "starting, its processes made already": {
    leave: () => ({ kind: "starting" }),
    find: { state: { kind: "stopped", reason: { type: "interrupted", during: "start" } }, incarnation: 1 },
  },
};

describe.each(Object.entries(LEFT_BEHIND))("a daemon killed in the state %s", (name, { leave, find }) => {
  it.each(["frozen", "running"] as const)("is made good by the next, its processes %s", async (processes) => {
    const sandbox = await create();
    await sandbox.exec("echo kept > /file; (sleep 600; true) &");
    // What was announced is taken from the registry, what is so from the freezer: the two differ in the middle of a change.
    await sandbox.pause();
    if (processes === "running" && name !== "paused") await sandbox.resume();
    await end("SIGKILL");
    writeState(sandbox, leave(sandbox));
    await serve();
    const again = await found(sandbox);
    expect(await again.inspect()).toMatchObject(find);
    if (find.state?.kind === "stopped") {
      await nothingRuns(sandbox);
      expect(await again.start()).toMatchObject({ state: { kind: "running" }, incarnation: 2 });
    } else {
      expect(freezerState(again)).toBe(find.state?.kind === "paused" ? "FROZEN" : "THAWED");
      await again.resume();
    }
    expect((await again.exec(["cat", "/file"])).stdout).toBe("kept\n");
    await again.remove();
    await nothingRuns(sandbox);
  });
});

describe("a daemon killed at any moment of a change", () => {
  it.each(["stop", "start", "pause", "resume", "restart"] as const)("%s: the next finds it whole", async (change) => {
    for (let round = 0; round < 4; round++) {
      const sandbox = await create();
      await sandbox.exec("echo kept > /file");
      if (change === "start") await sandbox.stop();
      if (change === "resume") await sandbox.pause();
      const begun = sandbox[change]().catch(() => {});
      // A question that was asked behind it is answered when it has begun.
      for (let i = 0; i < round; i++) await client.health();
      await end("SIGKILL");
      await begun;
      await serve();
      const again = await found(sandbox);
      const { state } = await again.inspect();
      expect(["running", "paused", "stopped"]).toContain(state.kind);
      if (state.kind === "stopped") await again.start();
      else await again.resume();
      expect((await again.exec(["cat", "/file"])).stdout).toBe("kept\n");
      await again.remove();
      await nothingRuns(sandbox);
      expect(existsSync(upperOf(sandbox))).toBe(false);
    }
  });
});

describe("processes that ended while no daemon ran", () => {
  it("leave a sandbox that can be started, and does not say more than is known", async () => {
    const sandbox = await create();
    await sandbox.exec("echo kept > /file");
    const pid = agentOf(sandbox);
    await end("SIGKILL");
    await kill([pid]);
    await serve();
    const again = await found(sandbox);
    expect((await again.inspect()).state).toEqual({
      kind: "stopped",
      reason: { type: "exited", code: null, signal: null },
    });
    await again.start();
    expect((await again.exec(["cat", "/file"])).stdout).toBe("kept\n");
    await again.remove();
  });
});

describe("a paused sandbox", () => {
  it("can be removed by a daemon that did not pause it", async () => {
    const sandbox = await create();
    await sandbox.pause();
    await end("SIGKILL");
    await serve();
    await (await found(sandbox)).remove();
    await nothingRuns(sandbox);
    expect(existsSync(upperOf(sandbox))).toBe(false);
  });
});

describe("the machine's start", () => {
  const IMAGE = { kind: "disk", bytes: 16 * 1024 ** 2 } as const;

  /** What it does: every process ends, every mount goes, and /run is empty. */
  async function reboot(sandboxes: readonly Sandbox[]): Promise<void> {
    await kill(sandboxes.flatMap(({ id }) => processesWith(id)));
    for (const line of mountsWith(join(cli.directory, "run"))) execFileSync("umount", ["-l", line.split(" ")[4] ?? ""]);
    rmSync(join(cli.directory, "run"), { recursive: true });
  }

  it("leaves what is on disk to be started, and says that what was in memory is gone", async () => {
    const disk = await create({ upper: { kind: "disk" }, lifetimeMs: 3_600_000 });
    const image = await create({ upper: IMAGE });
    const stoppedDisk = await create({ upper: { kind: "disk" } });
    const stoppedImage = await create({ upper: IMAGE });
    const memory = await create();
    const stopped = [stoppedDisk, stoppedImage];
    for (const sandbox of [disk, image, ...stopped, memory]) await sandbox.exec("echo kept > /file");
    for (const sandbox of stopped) await sandbox.stop();
    await end("SIGKILL");
    await reboot([disk, image, memory]);
    await serve();
    expect((await found(disk)).view).toMatchObject({
      state: { kind: "stopped", reason: { type: "exited", code: null, signal: null } },
      expiresAt: disk.view.expiresAt,
    });
    for (const sandbox of stopped) {
      expect((await found(sandbox)).view.state).toEqual({ kind: "stopped", reason: { type: "asked" } });
    }
    for (const sandbox of [disk, image, ...stopped]) {
      const again = await found(sandbox);
      await again.start();
      expect((await again.exec(["cat", "/file"])).stdout).toBe("kept\n");
      await again.remove();
    }
    const lost = await found(memory);
    expect(lost.view.state).toEqual({ kind: "lost", reason: { type: "upper-gone" } });
    await expect(lost.exec(["true"])).rejects.toMatchObject({ code: "sandbox/lost", status: 410 });
    await expect(lost.start()).rejects.toMatchObject({ code: "sandbox/lost", status: 410 });
    await lost.remove();
  });

  it("leaves checkpoints that are on disk with their sandboxes, and names those that were in memory as lost", async () => {
    const kept = await create({ upper: { kind: "disk", bytes: 64 * 1024 ** 2, snapshots: true } });
    const gone = await create({ upper: { kind: "tmpfs", bytes: 64 * 1024 ** 2, snapshots: true } });
    for (const sandbox of [kept, gone]) {
      await sandbox.exec("echo then > /file");
      await sandbox.checkpoint({ name: "then" });
      await sandbox.exec("echo now > /file");
    }
    await end("SIGKILL");
    await reboot([kept, gone]);
    await serve();

    const again = await found(kept);
    expect(again.view).toMatchObject({ state: { kind: "stopped" }, lineage: { head: expect.any(String) } });
    await again.start();
    expect((await again.exec(["cat", "/file"])).stdout).toBe("now\n");
    const { sandboxes } = await again.fork({ from: "then" });
    await again.undo();
    for (const each of [again, ...sandboxes]) expect((await each.exec(["cat", "/file"])).stdout).toBe("then\n");

    const lost = await found(gone);
    expect(lost.view.state).toEqual({ kind: "lost", reason: { type: "upper-gone" } });
    const { checkpoints } = await lost.timeline();
    expect(checkpoints).toMatchObject([{ name: "then", state: "lost" }]);
    for (const work of [() => lost.fork({ from: "then" }), () => client.checkpoints.fork(checkpoints[0]?.id ?? "")]) {
      await expect(work()).rejects.toMatchObject({ code: "checkpoint/lost", status: 410 });
    }
    await expect(lost.restore("then")).rejects.toMatchObject({ code: "sandbox/lost", status: 410 });
    await Promise.all([again, lost, ...sandboxes].map((each) => each.remove()));
    for (const { id } of await client.checkpoints.list()) await client.checkpoints.remove(id);
  });
});

describe("a start command", () => {
  it("that ended while no daemon ran is run again by the next, and one that goes on is not", async () => {
    const script = "trap 'exit 5' TERM; echo run >> /runs; sleep 600 & wait";
    const mark = `started-by-${process.pid}`;
    const restart = { restart: "on-failure", backoffMs: 1 } as const;
    const ended = await create({ start: { command: ["sh", "-c", script, mark], ...restart } });
    const lasting = await create({ start: { command: ["sh", "-c", script], ...restart } });
    const runs = async (sandbox: Sandbox) => (await sandbox.exec("cat /runs 2>/dev/null | wc -l")).stdout.trim();
    for (const sandbox of [ended, lasting]) await expect.poll(() => runs(sandbox)).toBe("1");
    await end("SIGKILL");
    const [pid] = processesWith(mark);
    process.kill(pid as number, "SIGTERM");
    await expect.poll(() => processesWith(mark)).toEqual([]);
    await serve();
    const again = await found(ended);
    await expect.poll(() => runs(again)).toBe("2");
    expect((await again.inspect()).start).toMatchObject({ restarts: 1, lastEnd: { kind: "exited", code: 5 } });
    expect(await runs(await found(lasting))).toBe("1");
    expect((await (await found(lasting)).inspect()).start).toMatchObject({ restarts: 0, status: { kind: "running" } });
    await Promise.all([ended, lasting].map(async (sandbox) => (await found(sandbox)).remove()));
  });
});

describe("time that is over when a daemon comes back", () => {
  it("ends a sandbox then, with its reason", async () => {
    const overdue = await create({ lifetimeMs: 150 });
    const stopped = await create({ lifetimeMs: 150, onExpire: "stop" });
    await end("SIGKILL");
    const due = Date.parse(stopped.view.expiresAt ?? "");
    await expect.poll(() => Date.now() > due).toBe(true);
    await serve();
    const reason = { type: "lifetime", lifetimeMs: 150 };
    await expect.poll(async () => (await found(stopped)).view.state).toEqual({ kind: "stopped", reason });
    await expect.poll(() => client.list({ state: "running" })).toEqual([]);
    // It is gone for everybody before its processes are.
    await expect.poll(() => [...processesWith(overdue.id), ...cgroupsWith(overdue.id)]).toEqual([]);
    await (await found(stopped)).remove();
  });
});
