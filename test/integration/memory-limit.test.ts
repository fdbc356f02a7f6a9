import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const MIB = 1024 ** 2;
const ROOT = "/sys/fs/cgroup/memory";
/** Asks for 100 MiB at once, and holds them. */
const BOMB = "dd if=/dev/zero of=/dev/null bs=100M count=1";
let daemon: TestDaemon;
let sandbox: Sandbox;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create({ layers: ["busybox"], limits: { memoryBytes: 256 * MIB } });
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** The sandbox's own cgroup in the hierarchy of memory. */
async function cgroupOf(of: Sandbox): Promise<string> {
  const { state } = await of.inspect();
  if (state.kind !== "running") throw new Error(`the sandbox is ${state.kind}`);
  const [, path = ""] = /^\d+:memory:(.*)$/m.exec(readFileSync(`/proc/${state.pid}/cgroup`, "utf8")) ?? [];
  return join(ROOT, path);
}

/** The cgroups that commands have below it. */
const cgroupsBelow = async (of: Sandbox): Promise<readonly string[]> => {
  const cgroup = await cgroupOf(of);
  const entries = readdirSync(cgroup, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(cgroup, name));
};

/** Resolves when commands have so many: those that are not needed any more go a little after the command's end. */
async function untilCgroupsAre(count: number, of: Sandbox): Promise<void> {
  while ((await cgroupsBelow(of)).length !== count) await of.exec("true");
}

describe("a command's memory limit", () => {
  it("ends a memory bomb and nothing beside it, and says what it held at most", async () => {
    const neighbour = await sandbox.spawn("read line; exit 3", { stdin: true });
    const report = await sandbox.exec(BOMB, { memoryLimitBytes: 32 * MIB });
    expect(report).toMatchObject({ limit: "memory", exitCode: null, signal: "SIGKILL" });
    expect(report.memoryPeakBytes).toBeGreaterThan(16 * MIB);
    expect(report.memoryPeakBytes).toBeLessThanOrEqual(32 * MIB);
    await neighbour.end();
    // It fails after the kernel has killed, and for a reason of its own.
    const other = await neighbour.exit;
    expect(other).toMatchObject({ limit: null, exitCode: 3 });
    expect(other).not.toHaveProperty("memoryPeakBytes");
    expect((await sandbox.usage()).oomKills).toBe(0);
  });

  it("leaves no cgroup behind, ten times in a row", async () => {
    for (let i = 0; i < 10; i++) {
      expect(await sandbox.exec(BOMB, { memoryLimitBytes: 16 * MIB })).toMatchObject({ limit: "memory" });
    }
    await untilCgroupsAre(0, sandbox);
  });

  it("is there from the first moment on, for all that the command starts", async () => {
    const line = "cat /proc/self/cgroup; setsid sh -c 'cat /proc/self/cgroup' | cat";
    const { stdout } = await sandbox.exec(line, { memoryLimitBytes: 32 * MIB });
    const [first, second, ...rest] = stdout.match(/(?<=:memory:).*/g) ?? [];
    expect(first).toMatch(/^\/exec-\d+$/);
    expect({ second, rest }).toEqual({ second: first, rest: [] });
  });

  it("holds what runs on in the background, which keeps the cgroup", async () => {
    const line = `(read line < /root/go; ${BOMB}; echo $? > /root/code) > /dev/null 2>&1 & echo started`;
    await sandbox.exec("mkfifo /root/go");
    expect(await sandbox.exec(line, { memoryLimitBytes: 32 * MIB })).toMatchObject({ limit: null, exitCode: 0 });
    await untilCgroupsAre(1, sandbox);
    await sandbox.exec("echo > /root/go; while [ ! -s /root/code ]; do sleep 0.01; done");
    expect((await sandbox.exec("cat /root/code")).stdout).toBe("137\n");
    await untilCgroupsAre(0, sandbox);
  });

  it("cannot be raised from inside", async () => {
    // Without the filter, which does not let anybody make a user namespace: this fence has to hold alone.
    await using hosted = await daemon.client.create({
      ...{ layers: ["host"], limits: { memoryBytes: 256 * MIB }, seccomp: "unconfined" },
    });
    const raise = [
      "mkdir /tmp/m; mount -t cgroup -o memory none /tmp/m",
      "for f in memory.memsw.limit_in_bytes memory.limit_in_bytes; do echo 200M > /tmp/m/$f; done",
      "cat /tmp/m/memory.limit_in_bytes; tail /dev/zero",
    ].join("; ");
    const running = hosted.spawn(["unshare", "-r", "-m", "--propagation", "unchanged", "sh", "-c", raise], {
      memoryLimitBytes: 32 * MIB,
    });
    const report = await (await running).exit;
    expect(report).toMatchObject({ limit: "memory" });
    expect(report.memoryPeakBytes).toBeLessThanOrEqual(32 * MIB);
    const namespaced = await hosted.exec(["unshare", "-r", "-C", "true"]);
    expect(namespaced).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("No space left") });
    expect((await hosted.exec(["unshare", "-r", "-m", "--propagation", "unchanged", "true"])).exitCode).toBe(0);
  });

  it("has no more of the sandbox than the sandbox has", async () => {
    await using small = await daemon.client.create({ layers: ["busybox"], limits: { memoryBytes: 32 * MIB } });
    const report = await small.exec(BOMB, { memoryLimitBytes: 1024 * MIB });
    expect(report).toMatchObject({ limit: "memory", signal: "SIGKILL" });
    expect(report.memoryPeakBytes).toBeLessThan(33 * MIB);
  });

  it("leaves the sandbox's own limit what it is for the other commands", async () => {
    await using small = await daemon.client.create({ layers: ["busybox"], limits: { memoryBytes: 32 * MIB } });
    const neighbour = await small.spawn("read line; exit 3", { stdin: true, memoryLimitBytes: 16 * MIB });
    expect(await small.exec(BOMB)).toMatchObject({ limit: "memory", signal: "SIGKILL" });
    expect((await small.usage()).oomKills).toBe(1);
    await neighbour.end();
    expect(await neighbour.exit).toMatchObject({ limit: null, exitCode: 3 });
  });

  it("is told as an event, and outlives the daemon with what the command held", async () => {
    const events = daemon.client.events({ types: ["limit.reached"] })[Symbol.asyncIterator]();
    const next = events.next();
    const report = await sandbox.exec(BOMB, { memoryLimitBytes: 32 * MIB });
    expect((await next).value).toMatchObject({ data: { limit: "memory", exec: report.exec } });
    await events.return?.(undefined);
    await daemon.restart();
    const known = await daemon.client.get(sandbox.id);
    expect(await known.inspectExec(report.exec)).toMatchObject({
      ...{ limit: "memory", memoryPeakBytes: report.memoryPeakBytes },
    });
  });

  it("or the sandbox's, met in the background, is an event of no command once somebody looks at the usage", async () => {
    await using small = await daemon.client.create({ layers: ["busybox"], limits: { memoryBytes: 32 * MIB } });
    const events = daemon.client.events({ types: ["limit.reached"], sandbox: small.id })[Symbol.asyncIterator]();
    const next = events.next();
    // The command itself ends before, and has nothing to tell.
    const line = `(read line < /root/go; ${BOMB}; echo > /root/done) > /dev/null 2>&1 &`;
    await small.exec("mkfifo /root/go");
    expect(await small.exec(line)).toMatchObject({ limit: null, exitCode: 0 });
    const go = "echo > /root/go; while [ ! -e /root/done ]; do sleep 0.01; done";
    expect(await small.exec(go)).toMatchObject({ limit: null, exitCode: 0 });
    expect((await small.usage()).oomKills).toBe(1);
    expect((await next).value).toMatchObject({ sandbox: small.id, data: { limit: "memory", exec: null } });
    await events.return?.(undefined);
  });

  it("goes with the sandbox, whatever runs under it", async () => {
    const doomed = await daemon.client.create({ layers: ["busybox"] });
    await doomed.detach(["sleep", "600"], { memoryLimitBytes: 32 * MIB });
    const cgroup = await cgroupOf(doomed);
    expect(await cgroupsBelow(doomed)).toHaveLength(1);
    await doomed.remove();
    expect(existsSync(cgroup)).toBe(false);
  });
});
