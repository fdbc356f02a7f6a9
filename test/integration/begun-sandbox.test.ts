import { readdirSync, readlinkSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import { NativeLauncher } from "../../src/native/launcher.ts";
import { begunOf } from "../support/begun.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { end, killLauncher, serve } from "../support/daemon-process.ts";
import { NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { cgroupsWith, processesWith } from "../support/traces.ts";

/** What of a launch the beginning takes upon itself. */
const GROUND = ["namespaces", "cgroup", "clone", "join-cgroup", "network", "owner", "dev", "proc", "sys"];

/** All that a command can see of how it is confined, but for numbers that are another in each sandbox. */
const CONFINEMENT = `
  cut -d' ' -f4- /proc/self/mountinfo | sed 's#/[^ ]*/uppers/[^ ,]*#UPPER#g; s#sb_[0-9a-z]*#ID#g; s#,uuid=on##' | sort
  for pid in self 1; do
    grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Umask|NSpid)' /proc/$pid/status
    cat /proc/$pid/oom_score_adj /proc/$pid/limits
  done
  cut -d' ' -f1,2,4,5 /proc/1/stat
  cut -d: -f2- /proc/self/cgroup | sed 's#exec-[0-9]*#exec-N#g'
  cat /proc/self/uid_map /proc/self/gid_map | tr -s ' ' | cut -d' ' -f2,4
  ls -lan /dev /dev/pts /dev/shm /dev/mqueue | sed 's/[A-Z][a-z][a-z] .[0-9] .....//'
  cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/net/dev
  stat -f -c '%n %b %c' /dev/shm /dev
`;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const nextOf = ({ config }: TestDaemon) => expect.poll(() => begunOf(config.runDir)).toBeDefined();

async function begun(): Promise<NonNullable<ReturnType<typeof begunOf>>> {
  await nextOf(daemon);
  return begunOf(daemon.config.runDir) ?? expect.fail("it has been begun, and went");
}

async function works(sandbox: Sandbox): Promise<void> {
  expect(await sandbox.exec(["echo", "alive"])).toMatchObject({ stdout: "alive\n", exitCode: 0 });
}

describe("the next sandbox", () => {
  beforeEach(async () => {
    await begun();
  });

  it("is begun before it is asked for, and is the one that is made", async () => {
    const { id, pid } = await begun();
    await using sandbox = await daemon.client.create();
    expect(sandbox.id).toBe(id);
    expect(sandbox.view.state).toMatchObject({ kind: "running", pid });
    await works(sandbox);
    expect((await begun()).id).not.toBe(id);
  });

  it("is confined as one that nobody has begun", async () => {
    const { id } = await begun();
    await using sandbox = await daemon.client.create({ name: "alike" });
    expect(sandbox.id).toBe(id);
    const shown = await confinement(sandbox);
    // Its own ids are no next sandbox's: this launch does everything itself.
    const steps = await launched(() => sandbox.restart());
    expect(steps).toEqual(expect.arrayContaining(GROUND));
    expect(await confinement(sandbox)).toBe(shown);
  });

  it("has none of its ground laid while somebody waits", async () => {
    let made: Sandbox | undefined;
    const steps = await launched(async () => {
      made = await daemon.client.create();
    });
    await made?.remove();
    expect(steps).toEqual(expect.arrayContaining(["overlay", "move", "limits", "pivot"]));
    expect(steps.filter((step) => GROUND.includes(step))).toEqual([]);
  });

  it("has the limits that are asked for", async () => {
    const limits = { memoryBytes: 64 * 1024 ** 2, pids: 20, openFiles: 77 };
    await using sandbox = await daemon.client.create({ limits });
    const { stdout } = await sandbox.exec(["sh", "-c", "df -B1 --output=size /dev/shm | tail -1; ulimit -n"]);
    expect(stdout.trim().split(/\s+/)).toEqual([String(32 * 1024 ** 2), "77"]);
    const bomb = await sandbox.exec(["python3", "-c", "x = bytearray(200 << 20)"]);
    expect(bomb).toMatchObject({ limit: "memory" });
  });

  it("is one of many that are asked for at once", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => daemon.client.create()));
    await Promise.all(made.map(works));
    expect(new Set(made.map(({ id }) => id)).size).toBe(8);
    await Promise.all(made.map((sandbox) => sandbox.remove()));
    await begun();
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });

  it("is never one that lives, though it was expected and made before it could be begun", async () => {
    const made: Sandbox[] = [];
    for (let i = 0; i < 6; i++) made.push(await daemon.client.create());
    const { id } = await begun();
    expect(made.map((sandbox) => sandbox.id)).not.toContain(id);
    await Promise.all(made.map(works));
    await Promise.all(made.map((sandbox) => sandbox.remove()));
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });

  it("is begun anew when one that has its identity is not made after all", async () => {
    const { id } = await begun();
    await expect(daemon.client.create({ layers: ["no-such-layer"] })).rejects.toMatchObject({
      code: "layer/not-found",
    });
    await expect.poll(async () => (await begun()).id).not.toBe(id);
    expect(cgroupsWith(id)).toEqual([]);
    await using sandbox = await daemon.client.create();
    await works(sandbox);
  });

  it("is made all the same when what has been begun was killed", async () => {
    const { id, pid } = await begun();
    process.kill(pid, "SIGKILL");
    // Its launcher may not have noticed yet.
    await using sandbox = await daemon.client.create();
    expect(sandbox.id).toBe(id);
    await works(sandbox);
  });

  it("is taken back where nobody asks for one, and begun again when somebody has", async () => {
    await expect.poll(() => begunOf(daemon.config.runDir)).toBeUndefined();
    expect(remainsOf(daemon).cgroups).toEqual([]);
    let made: Sandbox | undefined;
    const steps = await launched(async () => {
      made = await daemon.client.create();
    });
    await made?.remove();
    expect(steps).toEqual(expect.arrayContaining(GROUND));
    await begun();
  });
});

it("nothing of it is left where a daemon has stopped", async () => {
  const other = new TestDaemon();
  await other.start();
  await nextOf(other);
  const { pid } = begunOf(other.config.runDir) ?? expect.fail("it went");
  await other[Symbol.asyncDispose]();
  expect(cgroupsWith(cgroupParentOf(other.config.runDir))).toEqual([]);
  expect(readdirSync("/proc")).not.toContain(String(pid));
});

describe("of one that is begun", () => {
  it.each(["the daemon", "the launcher", "both"])("nothing is left where %s has been killed", async (whom) => {
    using cli = await BuiltCli.make();
    const runDir = `${cli.directory}/run`;
    const serving = await serve(cli);
    await expect.poll(() => begunOf(runDir)).toBeDefined();
    const { pid } = begunOf(runDir) ?? expect.fail("it went");
    if (whom !== "the daemon") killLauncher(serving);
    if (whom !== "the launcher") await end(serving, "SIGKILL");
    await expect.poll(() => readdirSync("/proc")).not.toContain(String(pid));
    // What a launcher that was killed could not take away, the next daemon does, or the next sandbox has.
    if (whom === "the launcher") {
      // What the next launcher is not asked to build on, it takes away.
      expect((await cli.run(["create", "--layer", "no-such-layer"])).exitCode).not.toBe(0);
      const made = JSON.parse((await cli.run(["create", "--json"])).stdout.toString());
      expect((await cli.run(["rm", made.id])).exitCode).toBe(0);
      await end(serving, "SIGTERM");
    }
    if (whom === "the daemon") await expect.poll(() => cgroupsWith(`${cgroupParentOf(runDir)}/`)).toEqual([]);
    if (whom !== "the launcher") await end(await serve(cli), "SIGTERM");
    await expect.poll(() => cgroupsWith(cgroupParentOf(runDir))).toEqual([]);
    expect(processesWith(runDir)).toEqual([]);
  });
});

async function confinement(sandbox: Sandbox): Promise<string> {
  const { stdout, stderr, exitCode } = await sandbox.exec(["bash", "-ec", CONFINEMENT]);
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  for (const part of [" /proc/sys ro,", "NoNewPrivs:\t1", "exec-N", "Max locked memory", "mqueue"]) {
    expect(stdout).toContain(part);
  }
  return `${stdout}${(await descriptors(sandbox)).join("\n")}`;
}

/** What kinds of things the first process has open, but for the cgroups of commands, which come and go. */
async function descriptors(sandbox: Sandbox): Promise<readonly string[]> {
  const { state } = await sandbox.inspect();
  const directory = `/proc/${"pid" in state ? state.pid : 0}/fd`;
  const open = readdirSync(directory).map((name) => readlinkSync(`${directory}/${name}`));
  expect(open).toContainEqual(expect.stringMatching(/^socket:/));
  const kinds = open.filter((what) => !what.includes("/exec-")).map((what) => what.replace(/[0-9]+/g, "N"));
  return [...new Set(kinds)].sort();
}

/** The steps of the one launch that is made meanwhile. */
async function launched(work: () => Promise<unknown>): Promise<readonly string[]> {
  const seen: string[] = [];
  const launch = NativeLauncher.prototype.launch;
  NativeLauncher.prototype.launch = async function (...given) {
    const done = await launch.apply(this, given);
    seen.push(...done.steps.split(" ").map((step) => step.replace(/:.*/, "")));
    return done;
  };
  try {
    await work();
  } finally {
    NativeLauncher.prototype.launch = launch;
  }
  return seen;
}
