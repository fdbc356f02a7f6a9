import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ExecListView, ExecResultView, ExecView } from "../../src/api/contract.ts";
import type { Sandbox } from "../../src/client/index.ts";
import type { ApiAddress } from "../support/http.ts";
import { send } from "../support/http.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
let sandbox: Sandbox;
let base: string;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create();
  base = `/v1/sandboxes/${sandbox.id}`;
});
afterAll(() => daemon[Symbol.asyncDispose]());

const subject = (): ApiAddress => ({
  ...{ socketPath: daemon.config.socket, port: 0, token: "" },
});

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask<T>(asked: Asked, status = 200): Promise<T> {
  const answer = await send(subject(), asked);
  expect({ status: answer.status, body: answer.text }).toMatchObject({ status });
  return (answer.text === "" ? undefined : answer.json()) as T;
}

const exec = <T = ExecResultView>(body: object, { key, status = 200 }: { key?: string; status?: number } = {}) =>
  ask<T>(
    { method: "POST", path: `${base}/exec`, body, ...(key !== undefined && { headers: { "idempotency-key": key } }) },
    status,
  );
const get = (id: string, query = "") => ask<ExecView>({ path: `${base}/execs/${id}${query}` });
const list = (query = "") => ask<ExecListView>({ path: `${base}/execs${query}` });
const starts = async (file: string) => (await sandbox.exec(["cat", file])).stdout;

describe("the history of commands", () => {
  it("keeps who did what, and how it ended", async () => {
    const { exec: id } = await exec({ command: ["sh", "-c", "echo out; exit 3"], cwd: "/tmp", user: "root" });
    expect(await get(id)).toMatchObject({
      ...{ exec: id, running: false, seen: true, kept: true, by: "local", cwd: "/tmp", user: "root", pty: false },
      ...{ command: ["sh", "-c", "echo out; exit 3"], detached: false, exitCode: 3, signal: null, limit: null },
      ...{ stdoutBytes: 4, stderrBytes: 0, wallMs: expect.any(Number), endedAt: expect.any(String) },
    });
  });

  it("hears the end of a command that nobody listens to", async () => {
    const { exec: id } = await exec({ command: "read x; exit 4", stdin: "stream", detach: true }, { status: 202 });
    expect(await get(id)).toMatchObject({ running: true, exitCode: null });
    const soon = await get(id, "?wait=end&waitMs=1");
    expect(soon.running).toBe(true);
    const ended = get(id, "?wait=end");
    await ask({ method: "POST", path: `${base}/execs/${id}/stdin?end=true` }, 204);
    expect(await ended).toMatchObject({ running: false, exitCode: 4 });
  });

  it("lists newest first, in pages, by limit and by whether it runs", async () => {
    const { exec: first } = await exec({ command: "sleep 60", timeLimitMs: 20 });
    const { exec: second } = await exec({ command: ["sleep", "60"], detach: true }, { status: 202 });
    const page = await list("?count=1");
    expect(page).toMatchObject({ execs: [{ exec: second }], next: second });
    expect((await list(`?count=1&after=${page.next}`)).execs).toMatchObject([{ exec: first, limit: "wall" }]);
    expect((await list("?running=true")).execs.map((each) => each.exec)).toEqual([second]);
    expect((await list("?running=false")).execs.map((each) => each.exec)).not.toContain(second);
    expect((await list("?limit=wall")).execs.map((each) => each.exec)).toEqual([first]);
    await ask({ method: "POST", path: `${base}/execs/${second}/signal`, body: { signal: "SIGKILL" } }, 204);
    await get(second, "?wait=end");
  });

  it("tells what is gone of a command that its agent has forgotten", async () => {
    const { exec: id } = await exec({ command: ["echo", "gone"] });
    for (let i = 0; i < 64; i++) await sandbox.exec(["true"]);
    expect(await get(id)).toMatchObject({ running: false, kept: false, exitCode: 0, stdoutBytes: 5 });
    const events = [];
    for await (const event of await sandbox.attach(id, { stdout: 2 })) events.push(event);
    expect(events).toMatchObject([
      { kind: "lost", stream: "stdout", from: 2, to: 5 },
      { kind: "exit", report: { exec: id, exitCode: 0 } },
    ]);
  });

  it("forgets what it is told to, and nothing that runs", async () => {
    const { exec: id } = await exec({ command: ["sleep", "60"], detach: true }, { status: 202 });
    await ask({ method: "DELETE", path: `${base}/execs/${id}` }, 422);
    await ask({ method: "POST", path: `${base}/execs/${id}/signal`, body: { signal: "SIGKILL" } }, 204);
    await get(id, "?wait=end");
    await ask({ method: "DELETE", path: `${base}/execs/${id}` }, 204);
    await ask({ path: `${base}/execs/${id}` }, 404);
    await ask({ path: `${base}/execs/${id}/output` }, 404);
  });

  it("goes on with another daemon, which learns of what ended meanwhile", async () => {
    const { exec: done } = await exec({ command: ["true"] });
    const { exec: ends } = await exec({ command: "read x; exit 6", stdin: "stream", detach: true }, { status: 202 });
    const { exec: lasts } = await exec({ command: ["sleep", "60"], detach: true }, { status: 202 });
    await daemon.restart();
    await ask({ method: "POST", path: `${base}/execs/${ends}/stdin?end=true` }, 204);
    expect(await get(ends, "?wait=end")).toMatchObject({ exitCode: 6, command: "read x; exit 6" });
    expect(await get(done)).toMatchObject({ exitCode: 0, command: ["true"] });
    expect(await get(lasts)).toMatchObject({ running: true });
    // What ran it is stopped: nobody can say how it ended, or the agent's last word was heard.
    await sandbox.stop();
    const last = await get(lasts);
    expect(last.running).toBe(false);
    expect(last.seen ? last.signal : null).toBe(last.seen ? "SIGTERM" : null);
    await sandbox.start();
    expect((await get(done)).exitCode).toBe(0);
  });
});

describe("a request under an idempotency key", () => {
  it("starts one command, however often it is sent, and answers the same", async () => {
    const body = { command: "echo $$ >> /tmp/once; cat; exit 5", stdin: { text: "in" } };
    const first = await exec(body, { key: "once" });
    expect(first).toMatchObject({ exitCode: 5, stdout: "in" });
    expect(await exec(body, { key: "once" })).toEqual(first);
    expect((await starts("/tmp/once")).split("\n")).toHaveLength(2);
  });

  it("starts one command also where all are sent at once; the last one is answered", async () => {
    const body = { command: "echo $$ >> /tmp/at-once; cat", stdin: { text: "in" } };
    const path = `${base}/exec`;
    const headers = { "idempotency-key": "at-once" };
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => send(subject(), { method: "POST", path, body, headers })),
    );
    const seen = answers.map((answer) => answer.json<{ stdout?: string; error?: { code: string } }>());
    expect(seen.some(({ stdout }) => stdout === "in")).toBe(true);
    // One listens at a time, as to any command.
    expect(seen.filter(({ stdout, error }) => stdout !== "in" && error?.code !== "exec/output-replaced")).toEqual([]);
    expect((await starts("/tmp/at-once")).split("\n")).toHaveLength(2);
  });

  it("finds a detached command again, also with another daemon", async () => {
    const body = { command: "echo $$ >> /tmp/detached; sleep 60", detach: true };
    const first = await exec<{ exec: string; pid: number }>(body, { key: "detached", status: 202 });
    expect(await exec(body, { key: "detached", status: 202 })).toEqual(first);
    await daemon.restart();
    expect(await exec(body, { key: "detached", status: 202 })).toEqual(first);
    await expect.poll(() => starts("/tmp/detached")).toMatch(/^\d+\n$/);
    await sandbox.exec(["kill", `${first.pid}`]);
  });

  it("is answered from the history when the agent has forgotten", async () => {
    const body = { command: "echo x >> /tmp/forgotten; echo out" };
    const first = await exec(body, { key: "forgotten" });
    for (let i = 0; i < 64; i++) await sandbox.exec(["true"]);
    const again = await exec(body, { key: "forgotten" });
    expect(again).toMatchObject({ exec: first.exec, exitCode: 0, stdout: "", truncated: { stdout: 4, stderr: 0 } });
    expect(await starts("/tmp/forgotten")).toBe("x\n");
  });

  it("refuses another request under the same key", async () => {
    await exec({ command: ["true"] }, { key: "reused" });
    const refused = await exec<object>({ command: ["false"] }, { key: "reused", status: 409 });
    expect(refused).toMatchObject({ error: { code: "exec/key-reused", field: "idempotency-key" } });
  });

  it("may be sent again after it was refused", async () => {
    const body = { command: ["/tmp/not-there-yet"] };
    await exec(body, { key: "later", status: 422 });
    await sandbox.exec("printf '#!/bin/sh\\necho here' > /tmp/not-there-yet; chmod +x /tmp/not-there-yet");
    expect((await exec(body, { key: "later" })).stdout).toBe("here\n");
  });

  it.each([
    ["", 400],
    ["a b", 400],
    ["x".repeat(256), 400],
  ])("is no key: %j", async (key, status) => {
    await exec({ command: ["true"] }, { key, status });
  });
});

describe("limits of one command", () => {
  it("end it by its processor time", async () => {
    const burn = "while :; do :; done";
    expect(await exec({ command: burn, cpuTimeLimitMs: 200 })).toMatchObject({ limit: "cpu", signal: "SIGTERM" });
  });

  it("refuse more processes than it may have, and leave it to the command what comes of that", async () => {
    const line = "for i in 1 2 3 4 5 6; do sleep 600 & done; kill $(jobs -p); echo done; exit 9";
    // Not bash, which waits for ever longer and tries again.
    const limited = await exec({ command: ["sh", "-c", line], processLimit: 3 });
    expect(limited.limit).toBe("pids");
    expect(limited.stderr).toContain("fork");
    // A limit of one command is not the next one's.
    expect(await exec({ command: ["sh", "-c", line] })).toMatchObject({ limit: null, exitCode: 9 });
    expect((await list("?limit=pids")).execs.map((each) => each.exec)).toEqual([limited.exec]);
  });

  it("end it by its memory, which the history knows, and a repeated request too", async () => {
    const body = { command: ["tail", "/dev/zero"], memoryLimitBytes: 32 * 1024 ** 2 };
    const limited = await exec(body, { key: "memory" });
    const told = { limit: "memory", exitCode: null, signal: "SIGKILL", memoryPeakBytes: limited.memoryPeakBytes };
    expect(limited.memoryPeakBytes).toBeGreaterThan(16 * 1024 ** 2);
    expect(await exec(body, { key: "memory" })).toMatchObject({ exec: limited.exec, ...told });
    expect(await get(limited.exec)).toMatchObject(told);
    expect((await list("?limit=memory")).execs).toMatchObject([{ exec: limited.exec, ...told }]);
    // Under another limit it would be another command.
    await exec({ ...body, memoryLimitBytes: 64 * 1024 ** 2 }, { key: "memory", status: 409 });
  });

  it("say what a command held at most under a memory limit alone", async () => {
    expect(await exec({ command: "true", memoryLimitBytes: 32 * 1024 ** 2 })).toMatchObject({
      ...{ limit: null, exitCode: 0, memoryPeakBytes: expect.any(Number) },
    });
    const without = await exec({ command: "true" });
    expect(without).not.toHaveProperty("memoryPeakBytes");
    expect(await get(without.exec)).toMatchObject({ memoryPeakBytes: null });
  });
});
