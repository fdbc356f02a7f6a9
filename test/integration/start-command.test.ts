import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CreateOptions, Sandbox } from "../../src/client/index.ts";
import { NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  expect(remainsOf(daemon)).toEqual(NOTHING);
});

const create = (spec: CreateOptions) => daemon.client.create({ layers: ["busybox"], ...spec });
const startOf = async (sandbox: Sandbox) => (await sandbox.inspect()).start;
const lines = async (sandbox: Sandbox, file: string) =>
  (await sandbox.exec(["cat", file])).stdout.split("\n").filter(Boolean);

describe("a start command", () => {
  it("runs from the start on, as it was asked for, and is seen among the commands", async () => {
    const start = {
      command: "echo $A $B $(id -u) $PWD > /tmp/seen; sleep 600",
      env: { B: "b" },
      cwd: "/tmp",
      user: "7:8",
    };
    await using sandbox = await create({ env: { A: "a" }, start });
    await expect
      .poll(async () => (await startOf(sandbox))?.status)
      .toMatchObject({ kind: "running", pid: expect.any(Number) });
    await expect.poll(() => lines(sandbox, "/tmp/seen")).toEqual(["a b 7 /tmp"]);
    const status = (await startOf(sandbox))?.status;
    const [exec] = (await sandbox.execs()).filter(({ running }) => running);
    expect(status).toEqual({ kind: "running", exec: exec?.exec, pid: exec?.pid });
  });

  it("is run again as often as it failed, and no more than asked for", async () => {
    const command = "echo run >> /runs; exit 3";
    const start = { command, restart: "on-failure", maxRestarts: 3, backoffMs: 1 } as const;
    await using sandbox = await create({ start });
    await expect
      .poll(() => startOf(sandbox))
      .toMatchObject({
        status: { kind: "done" },
        restarts: 3,
        lastEnd: { kind: "exited", code: 3, signal: null },
      });
    expect(await lines(sandbox, "/runs")).toHaveLength(4);
    expect((await sandbox.inspect()).state.kind).toBe("running");
  });

  it("can be followed to its end as any other", async () => {
    const command = "echo begun; while [ ! -e /stop ]; do sleep 0.01; done; echo ended; exit 6";
    await using sandbox = await create({ start: { command } });
    await expect.poll(async () => (await startOf(sandbox))?.status).toMatchObject({ pid: expect.any(Number) });
    const [exec] = await sandbox.execs();
    const follower = await sandbox.attach(exec?.exec ?? "");
    await sandbox.exec(["touch", "/stop"]);
    let output = "";
    for await (const event of follower) if (event.kind === "output") output += Buffer.from(event.bytes).toString();
    expect({ output, exitCode: (await follower.exit).exitCode }).toEqual({ output: "begun\nended\n", exitCode: 6 });
    await expect.poll(() => startOf(sandbox)).toMatchObject({ status: { kind: "done" }, lastEnd: { code: 6 } });
  });

  it("is not run again when it did what it had to", async () => {
    await using sandbox = await create({ start: { command: "echo run >> /runs", restart: "on-failure" } });
    await expect
      .poll(() => startOf(sandbox))
      .toMatchObject({ status: { kind: "done" }, restarts: 0, lastEnd: { code: 0 } });
    expect(await lines(sandbox, "/runs")).toEqual(["run"]);
  });

  it("that cannot be started says why", async () => {
    await using sandbox = await create({ start: { command: ["/no/such"] } });
    await expect
      .poll(() => startOf(sandbox))
      .toMatchObject({
        status: { kind: "done" },
        lastEnd: { kind: "refused", code: "exec/program-not-found" },
      });
  });

  it("that is done can end its sandbox, which then says how", async () => {
    await using sandbox = await create({ start: { command: "exit 4", whenDone: "stop" } });
    const reason = { type: "start-command", code: 4, signal: null };
    await expect.poll(async () => (await sandbox.inspect()).state).toEqual({ kind: "stopped", reason });
    expect(await startOf(sandbox)).toMatchObject({ status: { kind: "idle" }, lastEnd: { kind: "exited", code: 4 } });
  });

  it("runs again after each start, and not while its sandbox is stopped", async () => {
    await using sandbox = await create({ start: { command: "echo run >> /runs; sleep 600", restart: "always" } });
    await expect.poll(() => lines(sandbox, "/runs")).toEqual(["run"]);
    expect((await sandbox.stop()).start).toMatchObject({ status: { kind: "idle" }, restarts: 0 });
    await sandbox.start();
    await expect.poll(() => lines(sandbox, "/runs")).toEqual(["run", "run"]);
  });

  it("goes on over a pause, and over restarts of the daemon, and is never run twice", async () => {
    const command = "echo run >> /runs; while [ ! -e /stop ]; do sleep 0.01; done; rm /stop; exit 1";
    await using sandbox = await create({ start: { command, restart: "on-failure", backoffMs: 1 } });
    await expect.poll(() => lines(sandbox, "/runs")).toEqual(["run"]);
    const before = await startOf(sandbox);
    await sandbox.pause();
    await sandbox.resume();
    await daemon.restart();
    await daemon.restart();
    expect(await startOf(sandbox)).toEqual(before);
    expect(await lines(sandbox, "/runs")).toEqual(["run"]);
    // Whoever runs it now sees its end.
    await sandbox.exec(["touch", "/stop"]);
    await expect.poll(() => lines(sandbox, "/runs")).toEqual(["run", "run"]);
    expect(await startOf(sandbox)).toMatchObject({ restarts: 1, lastEnd: { kind: "exited", code: 1 } });
  });
});

describe("a ready probe", () => {
  it("holds back the answer to a create until it has succeeded", async () => {
    const probe = { kind: "exec", command: "echo look >> /looks; test -e /up", intervalMs: 20 } as const;
    const command = "until [ $(cat /looks 2> /dev/null | wc -l) -gt 1 ]; do sleep 0.01; done; touch /up";
    await using sandbox = await create({ start: { command }, readyProbe: probe });
    expect(sandbox.view).toMatchObject({ ready: true, readyProbe: probe });
    const looks = (await lines(sandbox, "/looks")).length;
    expect(looks).toBeGreaterThan(1);
    // It looks no more; and what it ran is not among the commands.
    await expect.poll(async () => (await sandbox.execs()).some(({ running }) => running)).toBe(false);
    expect((await sandbox.execs()).length).toBeLessThan(3);
    expect(await lines(sandbox, "/looks")).toHaveLength(looks);
  });

  describe("of a port", () => {
    /** Answers with the status that the path names, or never where that is 0. */
    const SERVER = [
      "import http.server, time",
      "class Handler(http.server.BaseHTTPRequestHandler):",
      "  def do_GET(self):",
      "    status = int(self.path[1:])",
      "    time.sleep(600 if status == 0 else 0)",
      "    self.send_response(status)",
      "    self.end_headers()",
      "time.sleep(0.3)",
      "http.server.ThreadingHTTPServer(('127.0.0.1', 8080), Handler).serve_forever()",
    ].join("\n");
    const server = (readyProbe: NonNullable<CreateOptions["readyProbe"]>) =>
      daemon.client.create({
        start: { command: ["python3", "-c", SERVER] },
        readyProbe: { intervalMs: 20, ...readyProbe },
      });

    it.each([
      { kind: "tcp", port: 8080 },
      { kind: "http", port: 8080, path: "/200" },
      { kind: "http", port: 8080, path: "/302" },
    ] as const)("%j succeeds when it listens", async (probe) => {
      await using sandbox = await server(probe);
      expect(sandbox.view.ready).toBe(true);
      const look = "import socket; socket.create_connection(('127.0.0.1', 8080))";
      expect((await sandbox.exec(["python3", "-c", look])).exitCode).toBe(0);
    });

    it.each([
      [{ kind: "tcp", port: 8081 }, "connection"],
      [{ kind: "http", port: 8080, path: "/500" }, "GET /500 was answered with 500"],
      [{ kind: "http", port: 8080, path: "/0", attemptMs: 200 }, "it took longer than 200 ms"],
    ] as const)("%j fails, and says why", async (probe, message) => {
      // With ever more time, where the server did not even listen by then.
      for (let timeoutMs = 800; ; timeoutMs *= 2) {
        const error = await server({ ...probe, timeoutMs }).then(
          () => expect.unreachable(),
          (reason: Error) => reason,
        );
        expect(error).toMatchObject({ code: "sandbox/not-ready" });
        if (probe.port === 8080 && /connection/.test(error.message)) continue;
        expect(error.message).toContain(message);
        return;
      }
    });
  });

  it("can be waited for later, also by several, and over a restart of the daemon", async () => {
    await using sandbox = await create({ readyProbe: { kind: "exec", command: ["test", "-e", "/up"] }, wait: false });
    expect(sandbox.view.ready).toBe(false);
    await daemon.restart();
    const waiting = [sandbox.waitReady(), sandbox.waitReady()];
    await sandbox.exec(["touch", "/up"]);
    for (const view of await Promise.all(waiting)) expect(view.ready).toBe(true);
    await daemon.restart();
    expect((await sandbox.inspect()).ready).toBe(true);
  });

  it("begins anew with each start", async () => {
    await using sandbox = await create({ readyProbe: { kind: "exec", command: "test ! -e /down" } });
    await sandbox.exec(["touch", "/down"]);
    expect((await sandbox.stop()).ready).toBe(false);
    expect((await sandbox.start()).ready).toBe(false);
    const waiting = sandbox.waitReady();
    await sandbox.exec(["rm", "/down"]);
    expect((await waiting).ready).toBe(true);
  });

  it("that never succeeds ends its sandbox with the create, and nothing is left", async () => {
    const readyProbe = { kind: "exec", command: "sleep 60", attemptMs: 100, timeoutMs: 250, intervalMs: 1 } as const;
    await expect(create({ name: "never", readyProbe })).rejects.toMatchObject({
      code: "sandbox/not-ready",
      message: "the sandbox is not ready: it took longer than 100 ms",
    });
    expect(await daemon.client.list({ name: "never" })).toEqual([]);
  });

  it("is waited for no longer when the sandbox ends, or when the one who waits goes", async () => {
    await using sandbox = await create({ readyProbe: { kind: "exec", command: "false" }, wait: false });
    const leaving = new AbortController();
    const left = sandbox.waitReady({ signal: leaving.signal });
    const refused = expect(sandbox.waitReady()).rejects.toMatchObject({ code: "sandbox/wrong-state" });
    leaving.abort(new Error("enough"));
    await expect(left).rejects.toThrow("enough");
    await sandbox.stop();
    await refused;
  });

  it("leaves no sandbox of a client that went away while it waited", async () => {
    const leaving = new AbortController();
    const creating = daemon.client.create(
      { name: "left", layers: ["busybox"], readyProbe: { kind: "exec", command: "false" } },
      { signal: leaving.signal },
    );
    await expect.poll(async () => (await daemon.client.list({ name: "left" })).length).toBe(1);
    leaving.abort(new Error("enough"));
    await expect(creating).rejects.toThrow("enough");
    await expect.poll(async () => (await daemon.client.list({ name: "left" })).length).toBe(0);
  });
});
