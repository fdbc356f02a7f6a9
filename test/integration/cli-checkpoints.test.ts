import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckpointView, TimelineView } from "../../src/client/index.ts";
import { runCli } from "../support/cli-context.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = new TestDaemon({ PLYBOX_SNAPSHOT_MEMORY: "1G" });
  await daemon.start();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const plybox = (...args: readonly string[]) => runCli(args, { env: { PLYBOX_SOCKET: daemon.config.socket } });
const done = (stdout: string) => ({ exitCode: 0, stdout, stderr: "" });
const sh = async (sandbox: string, line: string): Promise<string> => {
  const { exitCode, stdout, stderr } = await plybox("exec", sandbox, "--", "sh", "-c", line);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return stdout;
};

describe("the commands of time lines", () => {
  it("keep, fork, restore and undo", async () => {
    expect(await plybox("create", "--layer", "busybox", "--snapshots", "box")).toEqual(done("box\n"));
    await sh("box", "echo one > /file");
    expect(await plybox("checkpoint", "--name", "one", "box")).toEqual(done("one\n"));
    await sh("box", "echo two > /file");
    expect(await plybox("fork", "--count", "2", "--name", "try", "box")).toEqual(done("try-1\ntry-2\n"));
    expect(await plybox("fork", "--from", "one", "--name", "early", "box")).toEqual(done("early\n"));
    expect(await sh("try-2", "cat /file")).toBe("two\n");
    expect(await sh("early", "cat /file")).toBe("one\n");
    expect(await plybox("diff", "box", "one")).toEqual(done("M /file  (content)\n"));
    expect((await plybox("diff", "--text", "box", "one")).stdout).toContain("\n-one\n+two\n");
    const restored = await plybox("restore", "box", "one");
    expect(restored).toMatchObject({
      ...{ exitCode: 0, stdout: "one\n" },
      stderr: expect.stringMatching(/commands were ended.*\nplybox: what it held is kept as cp_\w+\n$/),
    });
    expect(await sh("box", "cat /file")).toBe("one\n");
    const { stdout } = await plybox("timeline", "box");
    expect(stdout.split("\n").map((line) => line.trim().split(/ {2,}/).slice(-1)[0])).toEqual([
      ...["MADE", "asked for", "for a fork", "before a restore", ""],
    ]);
    expect(stdout).toMatch(/^\* +cp_\w+ +one /m);
    const { head }: TimelineView = JSON.parse((await plybox("timeline", "--json", "box")).stdout);
    expect(await plybox("fork", "--name", "again", head ?? "")).toEqual(done("again\n"));
    await plybox("rm", "--all");
    const left: CheckpointView[] = JSON.parse((await plybox("checkpoints", "ls", "--json")).stdout);
    expect(left.map(({ name }) => name)).toEqual(["one"]);
    expect((await plybox("checkpoints", "ls")).stdout).toMatch(/^sb_\w+ +cp_\w+ +one +\d+\w +ready +asked for$/m);
    expect(await plybox("checkpoints", "pack", "--whole", head ?? "")).toEqual(done(`${head}\n`));
    expect((await plybox("checkpoints", "ls")).stdout).toMatch(/^sb_\w+ +cp_\w+ +one +\d+\w +packed +asked for$/m);
    expect((await plybox("df")).stdout).toMatch(/^Packed checkpoints +[1-9]/m);
    expect(await plybox("checkpoints", "rm", head ?? "")).toEqual(done(`${head}\n`));
    const refused = await plybox("checkpoints", "rm", head ?? "");
    expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("(checkpoint/not-found)") });
  });

  it("merge, tell conflicts, and take a side", async () => {
    await plybox("create", "--layer", "busybox", "--snapshots", "box");
    await sh("box", "echo a > /a; echo b > /b");
    await plybox("fork", "--name", "try", "box");
    await sh("try", "echo try > /a; rm /b; echo new > /new");
    await sh("box", "echo box > /a");
    expect(await plybox("merge", "try", "box")).toEqual({
      ...{ exitCode: 1, stdout: "" },
      stderr: `plybox: conflict at /a: box changed it, try changed it
plybox: nothing was merged; --ours or --theirs says whose side is taken
`,
    });
    const planned = await plybox("merge", "--dry-run", "--path", "/new", "try", "box");
    expect(planned).toEqual({ exitCode: 0, stdout: "W /new\n", stderr: "plybox: nothing was done yet\n" });
    expect(await plybox("merge", "--ours", "--theirs", "try", "box")).toMatchObject({ exitCode: 125 });
    const merged = await plybox("merge", "--theirs", "try", "box");
    expect(merged).toMatchObject({ exitCode: 0, stdout: "W /a\nD /b\nW /new\n" });
    expect(merged.stderr).toMatch(/commands were ended.*\nplybox: what it held is kept as cp_\w+\n$/);
    expect(await sh("box", "cat /a /new; ls /b 2>&- || echo none")).toBe("try\nnew\nnone\n");
    expect(await plybox("merge", "try", "box")).toMatchObject({ stderr: "plybox: there is nothing to merge\n" });
    expect((await plybox("timeline", "box")).stdout).toContain("before a merge");
    await plybox("rm", "box", "try");
  });

  it("find what broke a test", async () => {
    await plybox("create", "--layer", "busybox", "--checkpoint", "per-exec", "--keep-checkpoints", "50", "box");
    for (let step = 1; step <= 12; step++) await sh("box", step === 7 ? "echo broken > /state" : `echo ${step} > /n`);
    const found = await plybox("bisect", "--run", "! grep -q broken /state 2>&-", "box");
    expect(found.exitCode).toBe(0);
    expect(found.stdout).toMatch(/^good at cp_\w+, bad at cp_\w+\nbroken by: sh -c echo broken > \/state\n$/);
    expect(found.stderr).toMatch(/^bad {3}now\ngood {2}cp_\w+ {2}before: sh -c echo 1 > \/n\n/);
    expect(await plybox("bisect", "--run", "true", "box")).toMatchObject({ exitCode: 1 });
    // The command that looked, and the one that broke it, and all after that: seven steps back.
    expect((await plybox("undo", "--steps", "6", "box")).exitCode).toBe(0);
    expect(await sh("box", "cat /n; ls /state 2>&- || echo none")).toBe("6\nnone\n");
    await plybox("rm", "box");
  });

  it("say what to do about a sandbox without snapshots", async () => {
    await plybox("create", "--layer", "busybox", "plain");
    for (const verb of ["checkpoint", "timeline", "fork", "undo"]) {
      const refused = await plybox(verb, "plain");
      expect(refused).toMatchObject({
        exitCode: 125,
        stderr: expect.stringMatching(/--snapshots.*\(checkpoint\/unsupported\)\n$/),
      });
    }
    await plybox("rm", "plain");
  });
});
