import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SandboxView } from "../../src/client/index.ts";
import { runCli } from "../support/cli-context.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const plybox = (...args: readonly string[]) => runCli(args, { env: { PLYBOX_SOCKET: daemon.config.socket } });
const done = (stdout: string) => ({ exitCode: 0, stdout, stderr: "" });
const info = async (name: string): Promise<SandboxView> => JSON.parse((await plybox("info", "--json", name)).stdout);
const create = async (name: string, ...options: readonly string[]) => {
  expect(await plybox("create", "--layer", "busybox", ...options, name)).toEqual(done(`${name}\n`));
};

describe("the commands of a sandbox's life", () => {
  it("pause and resume it", async () => {
    await create("ice");
    expect(await plybox("pause", "ice")).toEqual(done("ice\n"));
    expect((await info("ice")).state.kind).toBe("paused");
    const refused = await plybox("exec", "ice", "--", "true");
    expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringMatching(/\(sandbox\/paused\)\n$/) });
    expect(await plybox("resume", "ice")).toEqual(done("ice\n"));
    expect(await plybox("exec", "ice", "--", "echo", "on")).toEqual(done("on\n"));
    await plybox("rm", "ice");
  });

  it("stop, start and restart several, and go on where one cannot be", async () => {
    await create("one");
    await create("two");
    await plybox("exec", "one", "--", "sh", "-c", "echo kept > /file");
    const stopped = await plybox("stop", "one", "nobody", "two");
    expect(stopped).toEqual({
      exitCode: 125,
      stdout: "one\ntwo\n",
      stderr: 'plybox: nobody: there is no sandbox "nobody" (sandbox/not-found)\n',
    });
    expect((await info("two")).state).toEqual({ kind: "stopped", reason: { type: "asked" } });
    expect((await plybox("info", "one")).stdout).toMatch(/^State +stopped: somebody asked for it$/m);
    const started = await plybox("start", "--json", "one");
    expect(JSON.parse(started.stdout)).toMatchObject([{ sandbox: "one", view: { incarnation: 2 } }]);
    expect((await plybox("exec", "one", "--", "cat", "/file")).stdout).toBe("kept\n");
    expect(await plybox("restart", "--wait", "one", "two")).toEqual(done("one\ntwo\n"));
    expect(await info("one")).toMatchObject({ incarnation: 3, state: { kind: "running" } });
    await plybox("rm", "one", "two");
  });

  it("label, find, extend and change it", async () => {
    await create("web-1", "--label", "team=red", "--label", "tier=", "--lifetime", "1h", "--idle-timeout", "30m");
    await create("web-2", "--label", "team=blue", "--on-expire", "stop", "--idle-counts-commands");
    const named = async (...filter: readonly string[]) =>
      (JSON.parse((await plybox("ls", "--json", ...filter)).stdout) as SandboxView[]).map(({ name }) => name);
    expect(await named("--label", "team=red")).toEqual(["web-1"]);
    expect(await named("--label", "team")).toEqual(["web-1", "web-2"]);
    expect(await named("--label", "team", "--label", "tier=")).toEqual(["web-1"]);
    expect(await named("--name", "web-*", "--state", "running")).toEqual(["web-1", "web-2"]);
    expect(await named("--state", "paused", "--state", "stopped")).toEqual([]);
    const { id } = await info("web-2");
    expect(await plybox("ls", "-q", "--name", "web-2")).toEqual(done(`${id}\n`));

    expect(await plybox("label", "web-1", "team=green", "tier-")).toEqual(done("web-1\n"));
    expect((await info("web-1")).labels).toEqual({ team: "green" });
    await plybox("extend", "web-1", "3h");
    expect(await info("web-1")).toMatchObject({ lifetimeMs: 10_800_000, idleMs: 1_800_000, onExpire: "destroy" });
    const shown = (await plybox("info", "web-1")).stdout;
    expect(shown).toMatch(/^Labels +team=green$/m);
    expect(shown).toMatch(/^Lives until +\S+Z, then destroy$/m);
    expect(shown).toMatch(/^Idle time +at most 30m, then destroy$/m);

    const changes = ["--name", "db", "--no-lifetime", "--no-idle-timeout", "--resume-on-demand", "--on-expire", "stop"];
    expect(await plybox("update", "web-1", ...changes)).toEqual(done("web-1\n"));
    expect(await info("db")).toMatchObject({
      ...{ name: "db", lifetimeMs: null, expiresAt: null, idleMs: null, resumeOnDemand: true, onExpire: "stop" },
      labels: { team: "green" },
    });
    expect(await info("web-2")).toMatchObject({ idleCountsCommands: true, onExpire: "stop" });
    expect(await plybox("info", "web-1")).toMatchObject({ exitCode: 125 });
    const taken = await plybox("update", "db", "--name", "web-2");
    expect(taken).toMatchObject({ exitCode: 125, stderr: expect.stringMatching(/\(sandbox\/name-taken\)\n$/) });
    await plybox("rm", "db", "web-2");
  });

  it("start what it is for, and wait until that is ready", async () => {
    await create("server", "--start", "sleep 0.2; touch /up; sleep 600", "--ready-exec", "test -e /up");
    expect(await info("server")).toMatchObject({ ready: true, start: { status: { kind: "running" }, restarts: 0 } });
    expect((await plybox("info", "server")).stdout).toMatch(/^Ready +yes$/m);
    await create("slow", "--ready-exec", "test -e /up", "--no-wait");
    expect(await info("slow")).toMatchObject({ ready: false });
    await plybox("rm", "server", "slow");
    const never = await plybox(
      "create",
      "--layer",
      "busybox",
      "--ready-exec",
      "exit 3",
      "--ready-timeout",
      "300ms",
      "never",
    );
    expect(never.stderr).toMatch(/not ready: the command ended with exit code 3 \(sandbox\/not-ready\)\n$/);
    expect(await plybox("info", "never")).toMatchObject({ exitCode: 125 });
  });
});

it.each([
  [["create", "--label", "x"], '--label: not a label: "x"'],
  [["create", "--restart", "always"], "--restart: goes with --start"],
  [["create", "--when-done", "stop"], "--when-done: goes with --start"],
  [["create", "--restart", "sometimes", "--start", "x"], "--restart: not a restart policy"],
  [["create", "--ready-timeout", "1s"], "--ready-timeout: goes with"],
  [["create", "--ready-exec", "x", "--ready-tcp", "80"], "give one of --ready-exec"],
  [["create", "--ready-tcp", "0"], "--ready-tcp: not a port"],
  [["extend", "x", "10"], "not a duration"],
  [["label", "x", "y"], "not a label"],
  [["update", "x"], "say what is to change"],
  [["ls", "--state", "tired"], "--state: must be one of creating"],
])("plybox %j is refused before anything is asked", async (args, message) => {
  const { exitCode, stderr } = await runCli(args, { env: { PLYBOX_SOCKET: "/nowhere" } });
  expect(exitCode).toBe(125);
  expect(stderr).toContain(message);
});
