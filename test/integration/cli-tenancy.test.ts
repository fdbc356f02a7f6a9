import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BuiltCli } from "../support/built-cli.ts";

let plybox: BuiltCli;
let daemon: ChildProcess;

beforeAll(async () => {
  plybox = await BuiltCli.make();
  daemon = plybox.start(["serve"]);
  daemon.stderr?.resume();
  await once(createInterface(daemon.stdout as NodeJS.ReadableStream), "line");
});

afterAll(async () => {
  for (const { id } of await json<readonly { id: string }[]>(["ls"])) await text(["rm", id]);
  const closed = once(daemon, "close");
  daemon.kill("SIGTERM");
  await closed;
  plybox[Symbol.dispose]();
});

async function text(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { exitCode, stdout, stderr } = await plybox.run(args, { env });
  return { exitCode, stdout: stdout.toString(), stderr };
}

async function json<T>(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<T> {
  const { stdout, stderr } = await text([...args, "--json"], env);
  expect(stderr).toBe("");
  return JSON.parse(stdout) as T;
}

describe("plybox key", () => {
  it("makes a key that opens its tenant alone, until it is revoked", async () => {
    const made = await text(["key", "create", "ci", "--tenant", "acme", "--expires", "1h"]);
    expect(made).toMatchObject({ exitCode: 0, stderr: "" });
    expect(made.stdout).toMatch(/^ply_[0-9a-v]{12}_[A-Za-z0-9_-]{43}\n$/);
    const env = { PLYBOX_TOKEN: made.stdout.trim() };
    expect(await text(["create", "web"], env)).toEqual({ exitCode: 0, stdout: "web\n", stderr: "" });
    expect((await text(["exec", "web", "--", "echo", "hi"], env)).stdout).toBe("hi\n");
    expect(await text(["exec", "web", "--", "true"])).toMatchObject({ exitCode: 125 });
    const file = join(plybox.directory, "key");
    writeFileSync(file, made.stdout);
    expect((await text(["ls", "-q", "--token-file", file])).stdout).toMatch(/^sb_[0-9a-z]+\n$/);

    const [key] = await json<readonly { id: string; name: string }[]>(["key", "ls"]);
    expect(key).toMatchObject({ name: "ci", tenant: "acme", revokedAt: null });
    expect((await text(["key", "ls"])).stdout).toMatch(/^ID +NAME +TENANT +STATE .*\n\S+ +ci +acme +valid +/);
    expect(await text(["key", "revoke", key?.id ?? ""])).toEqual({ exitCode: 0, stdout: `${key?.id}\n`, stderr: "" });
    expect(await text(["ls"], env)).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("(auth/refused)") });
    expect((await text(["key", "ls"])).stdout).toMatch(/ revoked /);
  });

  it.each([
    [["key", "create", "A"], "input/invalid"],
    [["key", "create", "a", "--scope", "root"], "--scope: must be one of"],
    [["key", "create", "a", "--expires", "soon"], "--expires: not a duration"],
    [["key", "revoke", "0".repeat(12)], "key/not-found"],
    [["key", "revoke", "../x"], "input/invalid"],
  ])("%j is refused in one line", async (args, message) => {
    const { exitCode, stdout, stderr } = await text(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 125, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});

describe("plybox tenant", () => {
  it("sets quotas, which hold, and shows them", async () => {
    expect(
      (await text(["tenant", "set", "tiny", "--sandboxes", "1", "--memory", "2G", "--exec-rate", "600/m:50"])).stdout,
    ).toMatch(/^NAME .*\ntiny +1 +- +2G +- +- +600\/m:50\n$/);
    const env = { PLYBOX_TOKEN: (await text(["key", "create", "k", "--tenant", "tiny"])).stdout.trim() };
    expect((await text(["create"], env)).exitCode).toBe(0);
    expect(await text(["create"], env)).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("(quota/exceeded)"),
    });
    expect((await text(["tenant", "set", "tiny", "--sandboxes", "none"])).exitCode).toBe(0);
    expect((await text(["create"], env)).exitCode).toBe(0);
    expect(await json(["tenant", "ls"])).toEqual([
      { name: "tiny", quotas: expect.objectContaining({ sandboxes: null, execs: { perMinute: 600, burst: 50 } }) },
    ]);
  });

  it("wants to know what to set", async () => {
    expect(await text(["tenant", "set", "tiny"])).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("name a quota"),
    });
  });
});

describe("plybox audit", () => {
  it("shows who changed what, newest first, also about a sandbox that is gone", async () => {
    const { id } = await json<{ id: string }>(["create", "watched"]);
    await text(["exec", "watched", "--", "true"]);
    const entries = await json<readonly { action: string; by: string }[]>(["audit", "--sandbox", "watched"]);
    // The end of our stdin may reach the command before it has ended, or not.
    const asked = entries.filter(({ action }) => action !== "writeStdin");
    expect(asked.map(({ action, by }) => [action, by])).toEqual([
      ["exec", "local"],
      ["createSandbox", "local"],
    ]);
    await text(["rm", "watched"]);
    const { stdout } = await text(["audit", "--sandbox", id, "-n", "1"]);
    expect(stdout).toMatch(new RegExp(`^ID .*\\n\\d+ +\\S+Z +default +local +removeSandbox +${id} +204\\n$`));
  });
});
