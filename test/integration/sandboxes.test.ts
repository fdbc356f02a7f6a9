import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { agentsOf, NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { processesWith } from "../support/traces.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

const inTurns = async <T>(count: number, atOnce: number, work: (index: number) => Promise<T>): Promise<T[]> => {
  const results: T[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) results.push(await work(next++));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
};

describe("many at once", () => {
  it("serves a burst of 100 creates, each to its first command's output", async () => {
    const sandboxes = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const sandbox = await daemon.client.create({ layers: ["busybox"] });
        const { stdout, exitCode } = await sandbox.exec(["echo", String(index)]);
        expect({ stdout, exitCode }).toEqual({ stdout: `${index}\n`, exitCode: 0 });
        return sandbox;
      }),
    );
    expect(new Set(sandboxes.map(({ id }) => id)).size).toBe(100);
    await Promise.all(sandboxes.map((sandbox) => sandbox.remove()));
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });

  it("gives a name to exactly one of those that ask for it at once", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => daemon.client.create({ name: "wanted", layers: ["busybox"] })),
    );
    const won = outcomes.filter((outcome) => outcome.status === "fulfilled");
    const lost = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    expect(won).toHaveLength(1);
    expect(lost).toHaveLength(19);
    for (const error of lost) expect(error).toMatchObject({ code: "sandbox/name-taken", status: 409, field: "name" });
    await won[0]?.value.remove();
    await using again = await daemon.client.create({ name: "wanted", layers: ["busybox"] });
    expect(again.name).toBe("wanted");
  });

  it("leaves nothing of 200 sandboxes that come and go 20 at a time", async () => {
    const ids = await inTurns(200, 20, async () => {
      const sandbox = await daemon.client.create({ layers: ["busybox"] });
      await sandbox.exec(["true"]);
      await sandbox.remove();
      return sandbox.id;
    });
    expect(remainsOf(daemon)).toEqual(NOTHING);
    expect(agentsOf(ids)).toEqual([]);
  });

  it("shares one removal among all who ask for it", async () => {
    const { id } = await daemon.client.create({ layers: ["busybox"] });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, async () => (await daemon.client.get(id)).remove()),
    );
    expect(outcomes.some(({ status }) => status === "fulfilled")).toBe(true);
    for (const outcome of outcomes)
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "sandbox/not-found" });
  });
});

describe("the sandbox itself", () => {
  it("stops when its PID 1 ends, and says so", async () => {
    const sandbox = await daemon.client.create({ layers: ["busybox"] });
    const [pid] = agentsOf([sandbox.id]);
    process.kill(pid as number, "SIGKILL");
    await expect
      .poll(async () => (await sandbox.inspect()).state)
      .toEqual({
        kind: "stopped",
        reason: { type: "exited", code: null, signal: "SIGKILL" },
      });
    await expect(sandbox.exec(["true"])).rejects.toMatchObject({ code: "sandbox/wrong-state", status: 409 });
    await sandbox.remove();
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });

  it.each(["tmpfs", "disk"] as const)("keeps what is written on a %s upper, and owns it from 0 on", async (kind) => {
    const sandbox = await daemon.client.create({ layers: ["busybox"], upper: { kind } });
    const script = "echo kept > /file; chown 7:8 /file; ls -ln /file";
    expect((await sandbox.exec(script)).stdout).toMatch(/ 7 +8 /);
    const directory = kind === "tmpfs" ? join(daemon.config.runDir, "uppers") : join(daemon.config.stateDir, "uppers");
    expect(readFileSync(join(directory, sandbox.id, "upper/file"), "utf8")).toBe("kept\n");
    await sandbox.remove();
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });

  it("takes no more memory for small files than a page each, where the kernel has large ones too", async () => {
    const upper = { kind: "tmpfs", bytes: 64 * 1024 ** 2 } as const;
    await using sandbox = await daemon.client.create({ layers: ["busybox"], upper });
    const usedKib = async () => Number((await sandbox.exec("df -k / | awk 'END { print $3 }'")).stdout);
    const before = await usedKib();
    const script = "mkdir /small && for i in $(seq 500); do echo $i > /small/$i; done";
    expect(await sandbox.exec(script)).toMatchObject({ exitCode: 0 });
    expect((await usedKib()) - before).toBe(500 * 4);
    const mount = readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .find((line) => line.includes(sandbox.id));
    const hasLargePages = existsSync("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    expect(mount?.includes(",huge=within_size")).toBe(hasLargePages);
  });

  it("has no more room than its tmpfs upper", async () => {
    await using sandbox = await daemon.client.create({
      layers: ["busybox"],
      upper: { kind: "tmpfs", bytes: 1_048_576 },
    });
    const { exitCode, stderr } = await sandbox.exec(["dd", "if=/dev/zero", "of=/big", "bs=1024", "count=2048"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("No space left on device");
  });

  it("has an id range that no other sandbox has, and is nobody on the host", async () => {
    await using first = await daemon.client.create({ layers: ["busybox"] });
    await using second = await daemon.client.create({ layers: ["busybox"] });
    const owners = [first, second].map(({ id }) => {
      const [pid] = agentsOf([id]);
      return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
    });
    expect(Math.abs((owners[0] as number) - (owners[1] as number))).toBeGreaterThanOrEqual(65_536);
    for (const owner of owners) expect(owner).toBeGreaterThan(65_536);
    expect((await first.exec(["id", "-u"])).stdout).toBe("0\n");
  });
});

describe("the launcher", () => {
  it("rests when there is nothing to do, also after sandboxes have come and gone", async () => {
    for (let i = 0; i < 5; i++) await (await daemon.client.create({ layers: ["busybox"] })).remove();
    const [launcher] = processesWith(`plylaunch --agent`).filter((pid) => parentOf(pid) === process.pid);
    const spent = async () => {
      const before = ticksOf(launcher as number);
      await setTimeout(300);
      return ticksOf(launcher as number) - before;
    };
    // A launcher that spins never stops; what it does for the last sandbox, and for the next one, it has done soon.
    await expect.poll(spent, { timeout: 10_000 }).toBeLessThanOrEqual(2);
  });
});

const statOf = (pid: number) =>
  readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
/** Processor time, in hundredths of a second. */
const ticksOf = (pid: number) => Number(statOf(pid)[11]) + Number(statOf(pid)[12]);
/** Undefined for one that has ended since. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(statOf(pid)[1]);
  } catch {
    return undefined;
  }
}

describe("limits", () => {
  it("names the memory limit when the kernel ended a command for it", async () => {
    await using sandbox = await daemon.client.create({ limits: { memoryBytes: 64 * 1024 ** 2 } });
    const hog = await sandbox.exec(["python3", "-c", "x = bytearray(200 * 1024 * 1024)"]);
    expect(hog).toMatchObject({ limit: "memory" });
    expect(await sandbox.exec(["echo", "still here"])).toMatchObject({ limit: null, stdout: "still here\n" });
    const control = await sandbox.exec(["python3", "-c", "x = bytearray(20 * 1024 * 1024)"]);
    expect(control).toMatchObject({ exitCode: 0, limit: null });
  });

  it("holds a sandbox to its number of processes", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"], limits: { pids: 16 } });
    const forks = (count: number) =>
      `i=0; while [ $i -lt ${count} ]; do sleep 5 & i=$((i+1)); done; echo all; kill $(jobs -p)`;
    expect((await sandbox.exec(forks(5))).stdout).toBe("all\n");
    const bomb = await sandbox.exec(forks(40));
    expect(bomb.stderr).toContain("Resource temporarily unavailable");
  });

  it("holds a sandbox to its share of the processors", async () => {
    await using sandbox = await daemon.client.create({ limits: { cpus: 0.2 } });
    const program =
      "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass\nprint(time.process_time())";
    const spent = Number((await sandbox.exec(["python3", "-c", program])).stdout);
    // A fifth of a second is allowed; an unheld loop spends the whole second where a core is free.
    expect(spent).toBeLessThan(0.6);
  });

  it("ends what escaped its session when a limit is met", async () => {
    await using sandbox = await daemon.client.create({});
    const escaping =
      "import os,time\nif os.fork(): time.sleep(600)\nos.setsid()\nif os.fork(): os._exit(0)\nprint(os.getpid(), flush=True)\nwhile True: print()";
    const ended = await sandbox.exec(["python3", "-c", escaping], { outputLimitBytes: 1000 });
    expect(ended.limit).toBe("output");
    expect((await sandbox.exec(["ls", `/proc/${Number(ended.stdout)}`])).exitCode).not.toBe(0);
  });
});

describe("what a sandbox leaves to others", () => {
  it("no loop device, no network interface and no namespace of the test's host", async () => {
    const before = hostView();
    const sandbox = await daemon.client.create({ layers: ["busybox"] });
    await sandbox.exec(["true"]);
    expect(hostView()).toEqual({ ...before });
    await sandbox.remove();
    expect(hostView()).toEqual(before);
  });
});

/** What every process of the host shares with this one. */
function hostView() {
  return {
    interfaces: readdirSync("/sys/class/net").sort(),
    namespaces: readdirSync("/proc/self/ns").map((name) => readlinkSync(`/proc/self/ns/${name}`)),
  };
}
