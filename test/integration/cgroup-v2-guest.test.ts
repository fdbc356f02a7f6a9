import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildCli } from "../support/built-cli.ts";
import { GUEST_HANG_MS, Guest } from "../support/guest.ts";
import { makeGuestImage, PLYBOX } from "../support/guest-image.ts";

// The version 2 of this machine may have no controllers; a guest's has all of them, under a kernel that a distribution
// ships. The hierarchy is mounted as systemd mounts it. test/support/cgroup-v2-guest.mjs says what happens there.
const MOUNT_OPTIONS = "nsdelegate,memory_recursiveprot";
const SUPPORT = join(import.meta.dirname, "../support");
const SCRIPT = fileURLToPath(new URL("../support/cgroup-v2-guest.mjs", import.meta.url));
/** Where the guest has it. */
const INSIDE = join(PLYBOX, "script.mjs");
const MIB = 1024 ** 2;

let guest: Guest;
const told = new Map<string, { readonly value?: unknown; readonly error?: string }>();

beforeAll(async () => {
  await buildCli();
  guest = await Guest.start(async (directory) => {
    const bombs = join(directory, "guest-bombs");
    execFileSync("gcc", ["-static", "-Os", "-s", "-o", bombs, join(SUPPORT, "guest-bombs.c")]);
    const disk = await makeGuestImage(directory, {
      [INSIDE]: SCRIPT,
      [join(PLYBOX, "cgroup-v2-faults.mjs")]: join(SUPPORT, "cgroup-v2-faults.mjs"),
      [join(PLYBOX, "stop-at-state.mjs")]: join(SUPPORT, "stop-at-state.mjs"),
      "usr/bin/guest-bombs": bombs,
    });
    const init = join(SUPPORT, "plybox-guest-init.sh");
    return { init, arguments: [INSIDE, MOUNT_OPTIONS], programs: {}, ports: 1, memoryMiB: 1024, disk };
  });
  for await (const line of createInterface(await guest.connect())) {
    const { name, ...outcome } = JSON.parse(line);
    told.set(name, outcome);
  }
}, GUEST_HANG_MS);
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  expect(guest !== undefined && existsSync(guest.directory)).toBe(false);
});

/** What the guest found out; fails by what went wrong there. */
function outcome<T = unknown>(name: string): T {
  const { value, error } = told.get(name) ?? {};
  if (value === undefined) throw new Error(`${error ?? `the guest did not come to ${name}`}\n${guest.console}`);
  return value as T;
}

it("hands the controllers on from the root cgroup, and none to the commands of a sandbox before one needs it", () => {
  expect(outcome("controllers")).toEqual({
    mount: expect.stringContaining(MOUNT_OPTIONS),
    ...{ root: "cpu memory pids", parent: "cpu memory pids", sandbox: "cpu memory pids", handedOn: "" },
  });
});

it("holds every limit in the sandbox's cgroup", () => {
  expect(outcome("settings")).toEqual({
    ...{ "memory.max": String(64 * MIB), "memory.swap.max": "0", "memory.oom.group": "0" },
    ...{ "pids.max": "48", "cpu.max": "150000 100000", "cpu.weight": "300" },
  });
});

it("clones the agent into the sandbox's cgroup, which is the root of what is seen inside", () => {
  expect(outcome("places")).toEqual({ agent: true, inside: expect.stringMatching(/^0::\/exec-\d+\n0::\/\n$/) });
});

it("moves commands into their cgroups where they may gain privileges, and leaves nothing", () => {
  expect(outcome("privileged")).toMatchObject({
    ...{ exitCode: 0, stdout: expect.stringMatching(/^0::\/exec-\d+\n$/), isLeft: false },
  });
});

it("tells the kernel's own figures as usage, the pressure too", () => {
  interface Figures {
    readonly cpuMs: number;
    readonly memoryBytes: number;
    readonly memoryPeakBytes: number;
  }
  type Told = Figures & { readonly pids: number; readonly pressure: { readonly cpu: { readonly someMs: number } } };
  const { usage, kernel } = outcome<{ usage: Told; kernel: Figures & { someMs: number } }>("usage");
  // The agent and one command.
  expect(usage).toMatchObject({ pids: 2, oomKills: 0, upperBytes: 0 });
  expect(kernel).toMatchObject({ pids: 2 });
  expect(usage.cpuMs).toBeGreaterThan(0);
  expect(kernel.cpuMs).toBeGreaterThanOrEqual(usage.cpuMs);
  expect(kernel.someMs).toBeGreaterThanOrEqual(usage.pressure.cpu.someMs);
  expect(usage.pressure.cpu.someMs).toBeGreaterThan(0);
  expect(Math.abs(kernel.memoryBytes - usage.memoryBytes)).toBeLessThan(MIB);
  expect(kernel.memoryPeakBytes).toBeGreaterThanOrEqual(usage.memoryPeakBytes);
  expect(usage.memoryPeakBytes).toBeGreaterThanOrEqual(usage.memoryBytes);
});

it("throttles a command to the sandbox's share of the cores", () => {
  const { max, share, throttled } = outcome<{ max: string; share: number; throttled: number }>("quota");
  expect(max).toBe("25000 100000");
  expect(throttled).toBeGreaterThan(0);
  expect(share).toBeGreaterThan(0.05);
  expect(share).toBeLessThan(0.35);
});

it("gives sandboxes that want the same core shares by their weights", () => {
  const { spinning, ratio } = outcome<{ spinning: number; ratio: number }>("weight");
  expect(spinning).toBe(2);
  // 400 beside 100.
  expect(ratio).toBeGreaterThan(2);
  expect(ratio).toBeLessThan(8);
});

it("tells a memory bomb by the kernel's count, and no command after it", () => {
  expect(outcome("memory")).toMatchObject({
    bomb: { limit: "memory", exitCode: null, signal: "SIGKILL", limitsMet: { memoryKills: 1 } },
    events: { oom_kill: 1 },
    oomKills: 1,
    after: { limit: null, exitCode: 3, limitsMet: null },
  });
});

it("tells a memory kill in the background as an event of no command", () => {
  expect(outcome("background")).toMatchObject({
    command: { limit: null, exitCode: 0 },
    event: { limit: "memory", exec: null },
  });
});

it("tells a fork bomb by the kernel's count, and no command after it", () => {
  expect(outcome("forks")).toMatchObject({
    bomb: { limit: "pids", exitCode: 1, limitsMet: { refusedForks: 1 } },
    events: { max: 1 },
    handedOn: "",
    after: { limit: null, exitCode: 3, limitsMet: null },
  });
});

it("kills a fork bomb that does not give up, and releases the neighbour that was held to be told apart", () => {
  const { bomb, neighbour, ...rest } = outcome<{
    readonly bomb: { readonly limitsMet: { readonly refusedForks: number } };
    readonly neighbour: unknown;
  }>("storm");
  expect(bomb).toMatchObject({ limit: "pids", signal: "SIGKILL", exitCode: null });
  expect(bomb.limitsMet.refusedForks).toBeGreaterThanOrEqual(10_000);
  // It went on to its own end. That it was refused forks beside the bomb is so.
  expect(neighbour).toEqual({ limit: "pids", exitCode: 3, signal: null });
  // To count by command, the agent has gone from the sandbox's cgroup to a child of it.
  expect(rest).toEqual({ handedOn: "pids", own: "", agents: 1, isLeft: false });
});

it("holds a command to a number of processes of its own, which is no neighbour's limit", () => {
  expect(outcome("own-pids")).toMatchObject({
    bomb: { limit: "pids", exitCode: 1, limitsMet: { refusedForks: 1 } },
    neighbour: { limit: null, exitCode: 3 },
  });
});

it("holds a command to memory of its own, and from then on tells kills by command", () => {
  interface Bomb {
    readonly memoryPeakBytes: number;
  }
  const { bomb, smaller, ...rest } = outcome<{ readonly bomb: Bomb; readonly smaller: Bomb }>("own-memory");
  const killed = { limit: "memory", signal: "SIGKILL", limitsMet: { memoryKills: 1 } };
  expect(bomb).toMatchObject(killed);
  expect(bomb.memoryPeakBytes).toBeGreaterThan(8 * MIB);
  expect(bomb.memoryPeakBytes).toBeLessThanOrEqual(16 * MIB);
  // The sandbox's limit strikes first. The kernel charges the command before it finds that the sandbox has no more.
  expect(smaller).toMatchObject(killed);
  expect(smaller.memoryPeakBytes).toBeLessThan(72 * MIB);
  expect(rest).toMatchObject({
    ...{ swap: "0", handedOn: "memory pids" },
    whole: { ...killed, memoryPeakBytes: null },
    neighbour: { limit: null, exitCode: 3 },
  });
});

it("ends all that a command started, whatever it did to get away", () => {
  expect(outcome("wall")).toMatchObject({ limit: "wall", commands: [] });
});

it("freezes a sandbox, which takes no time then, and lets it go on", () => {
  expect(outcome("pause")).toMatchObject({
    frozen: { freeze: "1", events: { frozen: 1, populated: 1 } },
    whilePaused: 0,
    resumed: { freeze: "0", events: { frozen: 0, populated: 1 } },
  });
});

it("starts again in a cgroup that a predecessor has left with controllers handed on", () => {
  expect(outcome("restart")).toMatchObject({
    ...{ whenStopped: false, limit: String(64 * MIB) },
    bomb: { limit: "memory", signal: "SIGKILL" },
  });
});

it("is gone with the sandbox, which may be frozen, and with the daemon", () => {
  expect(outcome("removal")).toEqual({ left: [], parent: false });
});

it("leaves nothing of a launch that fails, at whichever step", () => {
  interface Faults {
    readonly failed: readonly { readonly step: string }[];
    readonly stdout: string;
  }
  const { failed, stdout } = outcome<Faults>("faults");
  const steps = failed.map(({ step }) => step);
  expect(steps).toEqual(expect.arrayContaining(["cgroup", "clone", "join-cgroup", "seccomp", "agent"]));
  const left = { cgroups: [], mounts: [], sockets: [] };
  expect(failed).toEqual(steps.map((step) => ({ step, named: step, code: "sandbox/launch-failed", left })));
  expect(stdout).toBe("alive\n");
});

it("outlives daemon, launcher and agent when it was paused, and is gone when it was being removed", () => {
  expect(outcome("kills")).toEqual({
    found: { paused: "paused", removed: null },
    stdout: "kept\n",
    left: { cgroups: [], mounts: [], sockets: [] },
  });
});

it("limits in a container too, whose root cgroup holds the processes of the container", () => {
  const { stdout, ...rest } = outcome<{ readonly stdout: string }>("contained");
  expect(rest).toMatchObject({ code: 137, handedOn: "cpu memory pids", children: ["init"] });
  expect(JSON.parse(stdout)).toMatchObject({ limit: "memory", signal: "SIGKILL" });
});
