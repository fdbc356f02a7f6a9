import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { CreateOptions, Sandbox } from "../../src/client/index.ts";
import { FaultyDaemon } from "../support/faulty-daemon.ts";
import { agentsOf, NOTHING, remainsOf } from "../support/remains.ts";
import { loopsGone } from "../support/traces.ts";

const RETRY_MS = 100;
/** What plylaunch does to take a sandbox away, in this order. */
const DESTROY_STEPS = ["kill", "cgroup", "unmount", "remove"];
/** What the daemon does to pause one, where cgroups of version 1 freeze it. */
const FREEZE_STEPS = ["freezer-cgroup", "freeze", "freezer-move", "freeze-all", "freeze-wait"];
const THAW_STEPS = ["thaw", "thaw-wait"];

let daemon: FaultyDaemon;

beforeAll(async () => {
  daemon = new FaultyDaemon();
  await daemon.start({ retryMs: RETRY_MS });
});
afterEach(() => {
  daemon.failing = undefined;
});
afterAll(async () => {
  await loopsGone(join(daemon.config.stateDir, "uppers"));
  await daemon[Symbol.asyncDispose]();
});

const TMPFS = { kind: "tmpfs" } as const;
const IMAGE = { kind: "disk", bytes: 16 * 1024 ** 2 } as const;

const create = async (upper: CreateOptions["upper"] = TMPFS): Promise<Sandbox> => {
  const sandbox = await daemon.client.create({ layers: ["busybox"], upper });
  await sandbox.exec("echo kept > /file");
  return sandbox;
};
const stateOf = async ({ id }: Sandbox) => (await daemon.client.get(id)).view.state.kind;
const failedAt = (step: string) => ({ code: "launcher/failed", step, errno: "EIO" });
const works = async (sandbox: Sandbox): Promise<void> =>
  expect((await sandbox.exec(["cat", "/file"])).stdout).toBe("kept\n");

describe.each([
  ["tmpfs", TMPFS],
  ["sized disk", IMAGE],
])("a removal from a %s upper that fails", (_, upper) => {
  it.each(DESTROY_STEPS)(
    "at %s names the step, is remembered, and is finished without being asked for",
    async (step) => {
      const sandbox = await create(upper);
      daemon.failing = `destroy:${step}`;
      await expect(sandbox.remove()).rejects.toMatchObject(failedAt(step));
      // It is gone for everybody, but not forgotten.
      await expect(daemon.client.get(sandbox.id)).rejects.toMatchObject({ code: "sandbox/not-found" });
      expect(remainsOf(daemon)).not.toEqual(NOTHING);
      daemon.failing = undefined;
      await expect.poll(() => remainsOf(daemon)).toEqual(NOTHING);
      expect(agentsOf([sandbox.id])).toEqual([]);
    },
  );

  it.each(DESTROY_STEPS)("at %s is finished by the next daemon", async (step) => {
    const sandbox = await create(upper);
    daemon.failing = `destroy:${step}`;
    await expect(sandbox.remove()).rejects.toMatchObject(failedAt(step));
    // The daemon ends before it could try again with success.
    const restarted = daemon.restart({ retryMs: RETRY_MS });
    daemon.failing = undefined;
    await restarted;
    await expect.poll(() => remainsOf(daemon)).toEqual(NOTHING);
    expect(agentsOf([sandbox.id])).toEqual([]);
  });
});

describe("a stop that fails", () => {
  it.each<[step: string, upper: CreateOptions["upper"]]>([
    ["kill", TMPFS],
    ["cgroup", TMPFS],
    ["remove", TMPFS],
    // What is in memory stays mounted.
    ["unmount", IMAGE],
    ["remove", IMAGE],
  ])("at %s, of an upper %o, stays stopping, and is finished without being asked for", async (step, upper) => {
    const sandbox = await create(upper);
    // A PID 1 that ends when it is asked to is neither found nor killed.
    if (step === "kill") process.kill(agentsOf([sandbox.id])[0] as number, "SIGSTOP");
    daemon.failing = `destroy:${step}`;
    await expect(sandbox.stop()).rejects.toMatchObject(failedAt(step));
    expect(await stateOf(sandbox)).toBe("stopping");
    daemon.failing = undefined;
    await expect.poll(() => stateOf(sandbox)).toBe("stopped");
    expect(remainsOf(daemon)).toMatchObject({ cgroups: [], sockets: [] });
    await sandbox.start();
    await works(sandbox);
    await sandbox.remove();
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });
});

describe("a start that fails, and cannot be cleared away", () => {
  it("has failed with the launch's own step, and the next start clears up", async () => {
    const sandbox = await create();
    await sandbox.stop();
    daemon.failing = "overlay";
    await expect(sandbox.start()).rejects.toMatchObject({ code: "sandbox/launch-failed", step: "overlay" });
    expect(await stateOf(sandbox)).toBe("failed");
    daemon.failing = "destroy:cgroup";
    await expect(sandbox.start()).rejects.toMatchObject(failedAt("cgroup"));
    expect(await stateOf(sandbox)).toBe("failed");
    daemon.failing = undefined;
    await sandbox.start();
    await works(sandbox);
    await sandbox.remove();
  });
});

describe("a pause that fails", () => {
  it.each(FREEZE_STEPS)("at %s names the step, and everything runs on", async (step) => {
    const sandbox = await create();
    daemon.failing = step;
    await expect(sandbox.pause()).rejects.toMatchObject(failedAt(step));
    daemon.failing = undefined;
    expect(await stateOf(sandbox)).toBe("running");
    await works(sandbox);
    await sandbox.pause();
    await sandbox.resume();
    await works(sandbox);
    await sandbox.remove();
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });
});

describe("a resumption that fails", () => {
  it.each(THAW_STEPS)("at %s names the step, and it is paused still", async (step) => {
    const sandbox = await create();
    await sandbox.pause();
    daemon.failing = step;
    await expect(sandbox.resume()).rejects.toMatchObject(failedAt(step));
    expect(await stateOf(sandbox)).toBe("paused");
    daemon.failing = undefined;
    await sandbox.resume();
    await works(sandbox);
    await sandbox.remove();
  });

  it("keeps nobody from removing the sandbox", async () => {
    const sandbox = await create();
    await sandbox.pause();
    daemon.failing = "thaw";
    await sandbox.remove();
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });
});
