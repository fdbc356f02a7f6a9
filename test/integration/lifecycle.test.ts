import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CreateOptions, Sandbox } from "../../src/client/index.ts";
import { FaultyDaemon } from "../support/faulty-daemon.ts";
import { agentsOf, NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { cgroupsWith, processesWith } from "../support/traces.ts";

const HOUR_MS = 3_600_000;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  expect(remainsOf(daemon)).toEqual(NOTHING);
});

const create = (spec: CreateOptions = {}) => daemon.client.create({ layers: ["busybox"], ...spec });
const kindOf = async (sandbox: Sandbox) => (await sandbox.inspect()).state.kind;

/** Counts up in a file of the sandbox's /, a hundred times a second. */
const COUNTER = "i=0; while true; do i=$((i+1)); echo $i > /count; sleep 0.01; done";

/** What the counter has written, read from outside, also where the inside is frozen. */
function countOf({ id }: Sandbox): number {
  return Number(readFileSync(`${daemon.config.runDir}/uppers/${id}/upper/count`, "utf8"));
}

async function counting(sandbox: Sandbox): Promise<void> {
  await sandbox.detach(COUNTER);
  await expect.poll(() => countOf(sandbox)).toBeGreaterThan(2);
}

/** The count after the counter, if it ran, had the time of several turns. */
async function later(sandbox: Sandbox): Promise<number> {
  // The daemon does something that takes as long, in a sandbox that runs.
  await using other = await create();
  await other.exec(["sleep", "0.2"]);
  return countOf(sandbox);
}

describe("a paused sandbox", () => {
  it("stands still, with all that its commands started, and goes on where it was", async () => {
    await using sandbox = await create();
    await counting(sandbox);
    const paused = await sandbox.pause();
    expect(paused.state).toEqual({ kind: "paused", pid: agentsOf([sandbox.id])[0] });
    const before = countOf(sandbox);
    expect(await later(sandbox)).toBe(before);
    expect((await sandbox.resume()).state.kind).toBe("running");
    await expect.poll(() => countOf(sandbox)).toBeGreaterThan(before);
    expect((await sandbox.exec(["echo", "on"])).stdout).toBe("on\n");
  });

  it("does not stop the clock: a command's time limit goes on", async () => {
    await using sandbox = await create();
    const limited = sandbox.exec(["sleep", "60"], { timeLimitMs: 400 });
    await expect.poll(async () => (await sandbox.execs()).length).toBe(1);
    await sandbox.pause();
    await using witness = await create();
    expect(await witness.exec(["sleep", "60"], { timeLimitMs: 500 })).toMatchObject({ limit: "wall" });
    expect(await kindOf(sandbox)).toBe("paused");
    await sandbox.resume();
    expect(await limited).toMatchObject({ limit: "wall", exitCode: null });
  });

  it("answers clearly, and again when it is paused twice or resumed twice", async () => {
    await using sandbox = await create();
    await sandbox.pause();
    await sandbox.pause();
    await expect(sandbox.exec(["true"])).rejects.toMatchObject({ code: "sandbox/paused", status: 409 });
    await expect(sandbox.start()).rejects.toMatchObject({ code: "sandbox/paused" });
    await sandbox.resume();
    await sandbox.resume();
    expect((await sandbox.exec(["true"])).exitCode).toBe(0);
  });

  it("resumes once for all who need it, where that was asked for", async () => {
    await using sandbox = await create({ resumeOnDemand: true });
    await sandbox.pause();
    const results = await Promise.all(Array.from({ length: 10 }, (_, n) => sandbox.exec(["echo", String(n)])));
    expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 10 }, (_, n) => `${n}\n`));
    expect(await kindOf(sandbox)).toBe("running");
    const { events } = await daemon.client.pastEvents({ sandbox: sandbox.id, types: ["sandbox.state"] });
    const states = events.flatMap((event) => (event.type === "sandbox.state" ? [event.data.state] : []));
    expect(states).toEqual(["running", "paused", "running"]);
  });

  it("can be stopped and can be removed", async () => {
    await using stopped = await create();
    await counting(stopped);
    await stopped.pause();
    expect((await stopped.stop()).state).toEqual({ kind: "stopped", reason: { type: "asked" } });
    expect(processesWith(stopped.id)).toEqual([]);
    const removed = await create();
    await counting(removed);
    await removed.pause();
    await removed.remove();
    expect(processesWith(removed.id)).toEqual([]);
    expect(cgroupsWith(removed.id)).toEqual([]);
  });

  it("stands still also where it has hundreds of processes", async () => {
    await using sandbox = await create();
    await sandbox.detach("i=0; while [ $i -lt 500 ]; do sleep 600 & i=$((i+1)); done; touch /all; wait");
    await expect.poll(async () => (await sandbox.exec(["test", "-e", "/all"])).exitCode).toBe(0);
    await sandbox.pause();
    const [cgroup = ""] = cgroupsWith("/freezer/").filter((path) => path.endsWith(sandbox.id));
    expect(readFileSync(`${cgroup}/cgroup.procs`, "utf8").trim().split("\n").length).toBeGreaterThan(500);
    expect(readFileSync(`${cgroup}/freezer.state`, "utf8")).toBe("FROZEN\n");
  });

  it("has a fork bomb frozen whole", async () => {
    await using sandbox = await create({ limits: { pids: 64 } });
    await sandbox.detach("f() { while true; do sleep 0.001 & wait; done; }; f & f & f & f & f");
    await expect
      .poll(async () => (await sandbox.exec("ls -d /proc/[0-9]*")).stdout.split("\n").length)
      .toBeGreaterThan(6);
    await sandbox.pause();
    const [cgroup = ""] = cgroupsWith(`freezer/`).filter((path) => path.endsWith(sandbox.id));
    const pids = readFileSync(`${cgroup}/cgroup.procs`, "utf8").trim().split("\n");
    const all = new Set(
      cgroupsWith(sandbox.id).flatMap((path) => readFileSync(`${path}/cgroup.procs`, "utf8").trim().split("\n")),
    );
    all.delete("");
    expect([...all].sort()).toEqual(pids.sort());
    await sandbox.resume();
    expect((await sandbox.exec(["true"])).exitCode).toBe(0);
  });
});

describe("a stopped sandbox", () => {
  it.each([
    ["tmpfs", { kind: "tmpfs" }],
    ["disk", { kind: "disk" }],
    ["sized", { kind: "disk", bytes: 16 * 1024 ** 2 }],
  ] as const)("keeps what it wrote on a %s upper, its ids and its name", async (kind, upper) => {
    await using sandbox = await create({ name: `kept-${kind}`, upper, env: { A: "b" } });
    await sandbox.exec("echo kept > /file; mkdir /etc/own; rm /bin/ls");
    const stopped = await sandbox.stop();
    expect(stopped).toMatchObject({ state: { kind: "stopped", reason: { type: "asked" } }, incarnation: 1 });
    expect(processesWith(sandbox.id)).toEqual([]);
    expect(cgroupsWith(sandbox.id)).toEqual([]);
    await expect(sandbox.exec(["true"])).rejects.toMatchObject({ code: "sandbox/wrong-state", status: 409 });
    await expect(create({ name: `kept-${kind}` })).rejects.toMatchObject({ code: "sandbox/name-taken" });
    expect(await sandbox.stop()).toEqual(stopped);

    const started = await sandbox.start();
    expect(started).toMatchObject({ state: { kind: "running" }, incarnation: 2, id: sandbox.id });
    expect((await sandbox.exec("cat /file; test -e /bin/ls || echo $A")).stdout).toBe("kept\nb\n");
    expect(await sandbox.start()).toEqual(started);
  });

  it("lets commands end in their own way", async () => {
    await using sandbox = await create();
    for (;;) {
      await sandbox.detach("trap 'echo bye > /bye; exit' TERM; echo > /ready; while true; do sleep 0.01; done");
      await expect.poll(async () => (await sandbox.exec(["rm", "/ready"])).exitCode).toBe(0);
      const before = performance.now();
      await sandbox.restart();
      const { stdout, exitCode } = await sandbox.exec(["cat", "/bye"]);
      // The machine may have stood still for the second that they have.
      if (exitCode !== 0 && performance.now() - before > 1000) continue;
      expect(stdout).toBe("bye\n");
      return;
    }
  });

  it("has no process left that would not end, nor an agent that does not answer", async () => {
    await using stubborn = await create();
    await stubborn.detach("trap '' TERM; echo > /ready; while true; do sleep 0.01; done");
    await expect.poll(async () => (await stubborn.exec(["test", "-e", "/ready"])).exitCode).toBe(0);
    await using deaf = await create();
    process.kill(agentsOf([deaf.id])[0] as number, "SIGSTOP");
    for (const view of await Promise.all([stubborn.stop(), deaf.stop()])) {
      expect(view.state).toEqual({ kind: "stopped", reason: { type: "asked" } });
      expect(processesWith(view.id)).toEqual([]);
      expect(cgroupsWith(view.id)).toEqual([]);
    }
    await deaf.start();
    expect((await deaf.exec(["true"])).exitCode).toBe(0);
  });

  it("can be started after it ended by itself, and says how that was", async () => {
    await using sandbox = await create();
    await sandbox.exec("echo kept > /file");
    process.kill(agentsOf([sandbox.id])[0] as number, "SIGKILL");
    const reason = { type: "exited", code: null, signal: "SIGKILL" };
    await expect.poll(async () => (await sandbox.inspect()).state).toEqual({ kind: "stopped", reason });
    await sandbox.start();
    expect((await sandbox.exec(["cat", "/file"])).stdout).toBe("kept\n");
  });

  it("keeps what it wrote when its start fails, says why, and starts later", async () => {
    const faulty = new FaultyDaemon();
    await faulty.start();
    const sandbox = await faulty.client.create({ layers: ["busybox"] });
    await sandbox.exec("echo kept > /file");
    await sandbox.stop();
    faulty.failing = "overlay";
    await expect(sandbox.start()).rejects.toMatchObject({ code: "sandbox/launch-failed", step: "overlay" });
    faulty.failing = undefined;
    expect((await sandbox.inspect()).state).toMatchObject({
      kind: "failed",
      reason: { type: "launch-failed", step: "overlay", errno: "EIO" },
    });
    await sandbox.start();
    expect((await sandbox.exec(["cat", "/file"])).stdout).toBe("kept\n");
    await faulty[Symbol.asyncDispose]();
    expect(remainsOf(faulty)).toEqual(NOTHING);
  });

  it("does nothing that was meant for the incarnation before", async () => {
    await using sandbox = await create();
    const { exec } = await sandbox.detach(["sleep", "60"]);
    await sandbox.restart();
    expect(await sandbox.execs()).toMatchObject([{ exec, running: false, kept: false, signal: "SIGTERM" }]);
    // Its end is still told of, but nobody is there to be sent anything.
    const follower = await sandbox.attach(exec);
    expect(await follower.exit).toMatchObject({ exec, signal: "SIGTERM" });
    await expect(follower.kill("SIGTERM")).rejects.toMatchObject({ code: "exec/not-found" });
  });
});

describe("several who change one sandbox at once", () => {
  it("have each change done whole, in the order in which they asked", async () => {
    await using sandbox = await create();
    const outcomes = await Promise.allSettled([sandbox.stop(), sandbox.pause(), sandbox.stop(), sandbox.start()]);
    expect(outcomes.map((each) => (each.status === "fulfilled" ? each.value.state.kind : each.reason.code))).toEqual([
      "stopped",
      "sandbox/wrong-state",
      "stopped",
      "running",
    ]);
    expect((await sandbox.inspect()).incarnation).toBe(2);
    expect((await sandbox.exec(["true"])).exitCode).toBe(0);
  });

  it("leave nothing when one of them removes it", async () => {
    for (const change of ["start", "pause", "stop", "restart"] as const) {
      const sandbox = await create();
      if (change === "start") await sandbox.stop();
      const outcomes = await Promise.allSettled([
        sandbox[change](),
        sandbox.remove(),
        sandbox.start(),
        sandbox.remove(),
      ]);
      expect(outcomes[1]?.status).toBe("fulfilled");
      expect(outcomes[2]).toMatchObject({ status: "rejected", reason: { code: "sandbox/not-found" } });
      expect(processesWith(sandbox.id)).toEqual([]);
      expect(cgroupsWith(sandbox.id)).toEqual([]);
    }
  });
});

describe("the time of a sandbox", () => {
  const endOf = async ({ id }: Sandbox) => {
    const { events } = await daemon.client.pastEvents({ sandbox: id, types: ["sandbox.state"] });
    const last = events.at(-1);
    return last?.type === "sandbox.state" ? last.data : undefined;
  };
  const isGone = (sandbox: Sandbox) =>
    sandbox.inspect().then(
      () => false,
      ({ code }) => code === "sandbox/not-found",
    );

  const stoppedAsIdle = { kind: "stopped", reason: { type: "idle", idleMs: 100 } };

  it("ends with its lifetime", async () => {
    const before = Date.now();
    const sandbox = await create({ lifetimeMs: 300 });
    expect(Date.parse(sandbox.view.expiresAt ?? "") - before).toBeGreaterThanOrEqual(300);
    await expect.poll(() => isGone(sandbox)).toBe(true);
    expect(Date.now() - before).toBeGreaterThanOrEqual(300);
    expect(await endOf(sandbox)).toEqual({ state: "destroyed", reason: { type: "lifetime", lifetimeMs: 300 } });
  });

  /** One whose lifetime is extended before it is over, with twice the time for as long as the machine is slower. */
  async function extended(lifetimeMs: number): Promise<Sandbox> {
    const sandbox = await create({ lifetimeMs });
    try {
      await sandbox.extend(HOUR_MS);
      return sandbox;
    } catch (error) {
      expect(error).toMatchObject({ code: "sandbox/not-found" });
      return await extended(2 * lifetimeMs);
    }
  }

  it("goes on when it is extended, and can be made endless", async () => {
    const before = Date.now();
    await using sandbox = await extended(200);
    const { expiresAt, lifetimeMs } = await sandbox.inspect();
    expect(lifetimeMs).toBe(HOUR_MS);
    expect(Date.parse(expiresAt ?? "")).toBeGreaterThanOrEqual(before + HOUR_MS);
    // By its end the time that the other had first is over as well.
    await using witness = await create({ lifetimeMs: sandbox.view.lifetimeMs ?? 0 });
    await expect.poll(() => isGone(witness)).toBe(true);
    expect(await kindOf(sandbox)).toBe("running");
    expect(await sandbox.update({ lifetimeMs: null })).toMatchObject({ lifetimeMs: null, expiresAt: null });
  });

  it("can stop it instead; a start gives it its lifetime anew", async () => {
    await using sandbox = await create({ lifetimeMs: 300, onExpire: "stop" });
    const stopped = { kind: "stopped", reason: { type: "lifetime", lifetimeMs: 300 } };
    await expect.poll(async () => (await sandbox.inspect()).state).toEqual(stopped);
    const before = Date.now();
    const { expiresAt } = await sandbox.start();
    expect(Date.parse(expiresAt ?? "")).toBeGreaterThanOrEqual(before + 300);
    await expect.poll(async () => (await sandbox.inspect()).state).toEqual(stopped);
  });

  it("ends when nothing is done in it, and not before", async () => {
    await using busy = await create({ onExpire: "stop" });
    await using followed = await busy.spawn(["sleep", "600"]);
    await busy.update({ idleMs: 100 });
    await using idle = await create({ idleMs: 100, onExpire: "stop" });
    await expect.poll(async () => (await idle.inspect()).state).toEqual(stoppedAsIdle);
    expect(await kindOf(busy)).toBe("running");
    await followed.kill("SIGKILL");
    await followed.exit;
    await expect.poll(async () => (await busy.inspect()).state).toEqual(stoppedAsIdle);
  });

  it("counts a command that nobody follows only where that was asked for", async () => {
    const lasting = (name: string) => ["sh", "-c", "while true; do sleep 0.01; done", name];
    await using counted = await create({ onExpire: "stop" });
    await using uncounted = await create({ onExpire: "stop" });
    await counted.detach(lasting(`in-${counted.id}`));
    await uncounted.detach(lasting(`in-${uncounted.id}`));
    await counted.update({ idleMs: 100, idleCountsCommands: true });
    await uncounted.update({ idleMs: 100 });
    await expect.poll(async () => (await uncounted.inspect()).state).toEqual(stoppedAsIdle);
    expect(await kindOf(counted)).toBe("running");
    // From outside: what is done in it by the API counts too.
    const [command] = processesWith(`in-${counted.id}`);
    process.kill(command as number, "SIGKILL");
    await expect.poll(async () => (await counted.inspect()).state).toEqual(stoppedAsIdle);
  });

  it("ends with the lifetime also where a command keeps it from being idle", async () => {
    await using sandbox = await create({ idleCountsCommands: true, onExpire: "stop" });
    await sandbox.detach(["sleep", "600"]);
    await sandbox.update({ idleMs: 100, lifetimeMs: 500 });
    const reason = { type: "lifetime", lifetimeMs: 500 };
    await expect.poll(async () => (await sandbox.inspect()).state).toEqual({ kind: "stopped", reason });
  });

  it("does not run out by idleness while it is paused", async () => {
    await using paused = await create({ onExpire: "stop" });
    await paused.pause();
    await paused.update({ idleMs: 100 });
    await using witness = await create({ idleMs: 100, onExpire: "stop" });
    await expect.poll(async () => (await witness.inspect()).state).toEqual(stoppedAsIdle);
    expect(await kindOf(paused)).toBe("paused");
    await paused.resume();
    await expect.poll(async () => (await paused.inspect()).state).toEqual(stoppedAsIdle);
  });

  it("runs on over a restart of the daemon, and ends what is overdue by then", async () => {
    const sandbox = await create({ lifetimeMs: 1000 });
    const overdue = await create({ lifetimeMs: 400 });
    const { expiresAt } = overdue.view;
    const lasting = await create({ lifetimeMs: HOUR_MS });
    await daemon.restart();
    expect((await lasting.inspect()).expiresAt).toBe(lasting.view.expiresAt);
    await expect.poll(() => isGone(overdue)).toBe(true);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt ?? ""));
    await expect.poll(() => isGone(sandbox)).toBe(true);
    await lasting.remove();
  });
});
