import { execFileSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { directoryBytes } from "../../src/sandbox/usage/directory-bytes.ts";
import { runCli } from "../support/cli-context.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const failureOf = (work: () => Promise<unknown>): Promise<unknown> =>
  work().then(
    () => undefined,
    (error: unknown) => error,
  );
const MIB = 1024 ** 2;
let daemon: TestDaemon;
let sandbox: Sandbox;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create({
    name: "measured",
    layers: ["busybox"],
    limits: { memoryBytes: 256 * MIB, pids: 50 },
    upper: { kind: "tmpfs", bytes: 64 * MIB },
  });
});
afterAll(() => daemon[Symbol.asyncDispose]());

const cli = (...args: readonly string[]) => runCli([...args, "--socket", daemon.config.socket]);

describe("usage", () => {
  it("counts what the sandbox does: processor time, memory, processes, upper", async () => {
    const before = await sandbox.usage();
    expect(before).toMatchObject({ sandbox: sandbox.id, name: "measured", cores: null, network: null, oomKills: 0 });
    expect(before.limits).toMatchObject({ memoryBytes: 256 * MIB, pids: 50, upperBytes: 64 * MIB });
    await sandbox.exec(
      "dd if=/dev/zero of=/root/file bs=1M count=20 2>/dev/null; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done",
    );
    await sandbox.detach(["sleep", "600"]);
    const after = await sandbox.usage();
    expect((after.upperBytes ?? 0) - (before.upperBytes ?? 0)).toBe(20 * MIB);
    // A tmpfs is memory.
    expect(after.memoryBytes).toBeGreaterThan((before.memoryBytes ?? 0) + 20 * MIB);
    expect(after.memoryPeakBytes).toBeGreaterThanOrEqual(after.memoryBytes ?? 0);
    expect(after.cpuMs).toBeGreaterThan((before.cpuMs ?? 0) + 20);
    expect(after.pids).toBe((before.pids ?? 0) + 1);
  });

  it("tells what an upper on disk holds, soon after somebody asked", async () => {
    await using disk = await daemon.client.create({ layers: ["busybox"], upper: { kind: "disk" } });
    await disk.exec("dd if=/dev/zero of=/root/file bs=1M count=5 2>/dev/null; ln /root/file /root/same; sync");
    for await (const { upperBytes, upperMeasuredAt, limits, at } of disk.watchUsage({ intervalMs: 100 })) {
      expect(limits.upperBytes).toBeNull();
      if (upperBytes === null || upperMeasuredAt === null) continue;
      expect(upperBytes).toBeGreaterThanOrEqual(5 * MIB);
      expect(upperBytes).toBeLessThan(6 * MIB);
      expect(Date.parse(upperMeasuredAt)).toBeLessThanOrEqual(Date.parse(at));
      break;
    }
  });

  it("counts of an upper on disk what is on its file system alone", async () => {
    const root = mkdtempSync(join(tmpdir(), "plybox-bytes-"));
    const other = join(root, "other");
    mkdirSync(other);
    execFileSync("mount", ["-t", "tmpfs", "plybox-test", other]);
    try {
      writeFileSync(join(other, "file"), Buffer.alloc(MIB));
      const { signal } = new AbortController();
      expect(await directoryBytes(root, { signal })).toBeLessThan(MIB);
      expect(await directoryBytes(other, { signal })).toBeGreaterThanOrEqual(MIB);
    } finally {
      execFileSync("umount", [other]);
      rmSync(root, { recursive: true });
    }
  });

  it("counts processes that the kernel killed for want of memory", async () => {
    await using small = await daemon.client.create({ layers: ["busybox"], limits: { memoryBytes: 16 * MIB } });
    await small.exec("dd if=/dev/zero of=/dev/null bs=64M count=1");
    expect((await small.usage()).oomKills).toBeGreaterThan(0);
  });

  it("is told of all sandboxes at once", async () => {
    await using other = await daemon.client.create({ layers: ["busybox"] });
    expect((await daemon.client.usage()).map((usage) => usage.sandbox)).toEqual([sandbox.id, other.id]);
  });

  it("comes as a series with the cores in use, until the sandbox is gone", async () => {
    const busy = await daemon.client.create({ layers: ["busybox"] });
    await busy.detach("while :; do :; done");
    const cores: (number | null)[] = [];
    const ended = failureOf(async () => {
      for await (const usage of busy.watchUsage({ intervalMs: 100 })) {
        cores.push(usage.cores);
        if ((usage.cores ?? 0) > 0.05) await busy.remove();
      }
    });
    expect(await ended).toMatchObject({ code: "sandbox/not-found" });
    expect(cores[0]).toBeNull();
    expect(cores.length).toBeGreaterThan(1);
    for (const each of cores.slice(1)) expect(each).toBeLessThan(4);
  });

  it("ends a series of all when the reader leaves", async () => {
    for await (const usages of daemon.client.watchUsage({ intervalMs: 100 })) {
      expect(usages.map((usage) => usage.sandbox)).toEqual([sandbox.id]);
      break;
    }
  });

  it("is refused for what is not a number of milliseconds", async () => {
    const series = sandbox.watchUsage({ intervalMs: 1 });
    expect(await failureOf(() => series.next())).toMatchObject({ code: "input/invalid", field: "intervalMs" });
  });
});

describe("processes", () => {
  it("are those inside, as the sandbox sees them", async () => {
    await sandbox.exec("adduser -D -u 1234 worker 2>/dev/null || echo 'worker:x:1234:1234::/:/bin/sh' >> /etc/passwd");
    const { pid } = await sandbox.detach(["sleep", "601"], { user: "1234" });
    const sleeping = { ppid: 1, uid: 1234, user: "worker", state: "S", command: "sleep 601" };
    const look = async () => (await sandbox.processes()).processes.find((process) => process.pid === pid);
    await expect.poll(look).toMatchObject(sleeping);
    // The kernel counts the first pages of a process some time after it has given them.
    await expect.poll(async () => (await look())?.rssBytes).toBeGreaterThan(0);
    const { processes, total } = await sandbox.processes();
    expect(total).toBe(processes.length);
    expect(processes[0]).toMatchObject({ pid: 1, ppid: 0, user: "root", threads: 1 });
  });
});

describe("a sandbox that is paused", () => {
  it("still uses memory, and is not woken to be looked at", async () => {
    await using paused = await daemon.client.create({ layers: ["busybox"], resumeOnDemand: true });
    await paused.pause();
    expect((await paused.usage()).memoryBytes).toBeGreaterThan(0);
    expect((await daemon.client.usage()).map((usage) => usage.sandbox)).toContain(paused.id);
    expect(await failureOf(() => paused.processes())).toMatchObject({ code: "sandbox/paused" });
    expect((await paused.inspect()).state.kind).toBe("paused");
  });
});

describe("plybox stats", () => {
  it("shows a line a sandbox, with its processor use", async () => {
    const { exitCode, stdout } = await cli("stats", "--interval", "100ms");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^NAME +CPU +MEMORY +LIMIT +PEAK +PIDS +UPPER +NETWORK IN +OUT +OOM\n/);
    expect(stdout).toMatch(/^measured +\d+\.\d% +\S+ +256M +\S+ +\d+ +\S+ +- +- +0$/m);
  });

  it("prints JSON of the sandboxes that are named", async () => {
    const { stdout } = await cli("stats", "measured", "--json", "--interval", "100ms");
    expect(JSON.parse(stdout)).toMatchObject([{ sandbox: sandbox.id, cores: expect.any(Number) }]);
  });

  it("goes on with --watch until it is interrupted, an array a line as JSON", async () => {
    const interrupts = new EventEmitter();
    let lines = 0;
    const onStdout = () => {
      lines += 1;
      if (lines === 3) interrupts.emit("SIGTERM", "SIGTERM");
    };
    const args = ["stats", "--watch", "--json", "--interval", "100ms", "--socket", daemon.config.socket];
    const { exitCode, stdout } = await runCli(args, { interrupts, onStdout });
    expect(exitCode).toBe(143);
    const looks = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { cores: number | null }[]);
    expect(looks).toHaveLength(3);
    expect(looks[0]).toMatchObject([{ cores: null }]);
    expect(looks[2]).toMatchObject([{ cores: expect.any(Number) }]);
  });

  it("refuses a sandbox that is not there", async () => {
    expect(await cli("stats", "nobody")).toMatchObject({
      exitCode: 125,
      stderr: expect.stringMatching(/sandbox\/not-found/),
    });
  });
});

describe("plybox top", () => {
  it("prints one table where there is no terminal", async () => {
    const { exitCode, stdout } = await cli("top", "measured", "--interval", "100ms");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ *PID +USER +CPU +TIME +RSS +S +COMMAND\n/);
    expect(stdout).toMatch(/^ *1 +root +\d+\.\d% +\d+\.\d\ds +\S+ +[RS] +.*plyagent/m);
    expect((await cli("top", "--interval", "100ms")).stdout).toMatch(/^measured +/m);
  });
});
