import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { begunOf } from "../support/begun.ts";
import { FaultyDaemon } from "../support/faulty-daemon.ts";
import { agentsOf, NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { loopsGone } from "../support/traces.ts";

/** The steps of docs/architecture.md, host first; a launch that works is asked below whether these are all. */
const STEPS = [
  ...["namespaces", "cgroup"],
  ...["upper", "layers", "open-binds", "limits", "socket"],
  ...["clone", "join-cgroup", "network", "owner", "dev", "proc", "sys"],
  ...["overlay", "move", "shm", "binds", "files", "hostname", "pivot", "resources", "descriptors"],
  ...["user", "landlock", "capabilities", "confine", "seccomp", "agent"],
];

let daemon: FaultyDaemon;

beforeAll(async () => {
  daemon = new FaultyDaemon();
  await daemon.start();
});
afterAll(async () => {
  daemon.failing = undefined;
  await loopsGone(join(daemon.config.stateDir, "uppers"));
  await daemon[Symbol.asyncDispose]();
});

const uppers = [
  ["tmpfs", { kind: "tmpfs" }],
  ["disk", { kind: "disk" }],
  ["sized disk", { kind: "disk", bytes: 16 * 1024 ** 2 }],
] as const;

describe.each(uppers)("a launch on a %s upper that fails", (_, upper) => {
  it.each(STEPS)("at %s names the step and leaves nothing", async (step) => {
    // So that steps behind the ground fail in one that has been begun.
    await expect.poll(() => begunOf(daemon.config.runDir)).toBeDefined();
    daemon.failing = step;
    await expect(daemon.client.create({ name: "doomed", upper })).rejects.toMatchObject({
      code: "sandbox/launch-failed",
      status: 500,
      step,
      errno: "EIO",
    });
    expect(remainsOf(daemon)).toEqual(NOTHING);
    expect(await daemon.client.list()).toEqual([]);
    daemon.failing = undefined;
    // The name is free again, and what the launcher keeps is in order.
    await using sandbox = await daemon.client.create({ name: "doomed", upper });
    expect(await sandbox.exec(["echo", "alive"])).toMatchObject({ stdout: "alive\n", exitCode: 0 });
  });
});

describe("a start of a stopped sandbox, whose ground nobody has laid, that fails", () => {
  it.each(STEPS)("at %s names the step, and what was written is there for the next", async (step) => {
    await using sandbox = await daemon.client.create({ name: "doomed" });
    await sandbox.exec(["sh", "-c", "echo kept > /file"]);
    await sandbox.stop();
    daemon.failing = step;
    await expect(sandbox.start()).rejects.toMatchObject({ code: "sandbox/launch-failed", step, errno: "EIO" });
    daemon.failing = undefined;
    await sandbox.start();
    expect((await sandbox.exec(["cat", "/file"])).stdout).toBe("kept\n");
  });
});

it("every step of a launch is in the list above, and no other", async () => {
  daemon.failing = "no such step";
  const { NativeLauncher } = await import("../../src/native/launcher.ts");
  const seen: string[] = [];
  const launch = NativeLauncher.prototype.launch;
  NativeLauncher.prototype.launch = async function (plan) {
    const launched = await launch.call(this, plan);
    seen.push(...launched.steps.split(" ").map((step) => step.replace(/:.*/, "")));
    return launched;
  };
  try {
    await using sandbox = await daemon.client.create({});
    // One that is started again is not begun before: all of it is done then.
    seen.length = 0;
    await sandbox.restart();
  } finally {
    NativeLauncher.prototype.launch = launch;
  }
  // The agent's own step is never reported by a launch that works: it does not return from it.
  expect([...seen, "agent"]).toEqual(STEPS);
});

it("200 sandboxes, 20 at a time, every tenth failing at some step, leave nothing", async () => {
  let launches = 0;
  const failures: string[] = [];
  const ids: string[] = [];
  const nextFailure = () => {
    launches += 1;
    return launches % 10 === 0 ? STEPS[(launches * 7) % STEPS.length] : undefined;
  };
  await using faulty = new TestDaemon();
  await faulty.start({ failAt: (doing) => (doing === "launch" ? nextFailure() : undefined) });
  const one = async () => {
    try {
      const sandbox = await faulty.client.create({ layers: ["busybox"] });
      ids.push(sandbox.id);
      await sandbox.exec(["true"]);
      await sandbox.remove();
    } catch (error) {
      failures.push((error as { code: string }).code);
    }
  };
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let i = 0; i < 10; i++) await one();
    }),
  );
  expect(failures).toEqual(Array(20).fill("sandbox/launch-failed"));
  expect(ids).toHaveLength(180);
  expect(remainsOf(faulty)).toEqual(NOTHING);
  expect(agentsOf(ids)).toEqual([]);
});
