import { expect } from "vitest";
import { newExecId } from "../../../src/model/ids.ts";
import type { AgentTests } from "./harness.ts";
import { collect, drain, ended, failureOf, readStdout } from "./harness.ts";

const START = { stdout: 0, stderr: 0 };

export const attachTests: AgentTests = {
  "a command outlives its connection, and is read on from where its reader was": async (agent) => {
    const exec = newExecId();
    const first = await agent.link();
    const command = "printf one; printf err >&2; read x; printf two; exit 5";
    const session = await first.exec({ exec, command, stdin: true });
    expect(await readStdout(session[Symbol.asyncIterator](), 3)).toBe("one");
    first.close();

    const second = await agent.link();
    const again = await second.attach(exec, { stdout: 3, stderr: 0 });
    expect(again.pid).toBe(session.pid);
    await again.write(Buffer.from("go\n"));
    const { stdout, stderr, report, lost } = await collect(again);
    expect({ stdout, stderr, lost }).toEqual({ stdout: "two", stderr: "err", lost: [] });
    expect(report).toMatchObject({ exec, code: 5, stdoutBytes: 6, stderrBytes: 3 });
  },

  "the whole output can be read again after the command's end": async (agent) => {
    const exec = newExecId();
    const link = await agent.link();
    const first = await collect(await link.exec({ exec, command: "echo out; echo err >&2; exit 7" }));
    const second = await collect(await (await agent.link()).attach(exec, START));
    expect(second).toEqual(first);
    const rest = await collect(await link.attach(exec, { stdout: 2, stderr: 4 }));
    expect({ stdout: rest.stdout, stderr: rest.stderr }).toEqual({ stdout: "t\n", stderr: "" });
  },

  "names exactly the bytes that are lost": async (agent) => {
    const exec = newExecId();
    const link = await agent.link();
    // The reader goes before the command writes: its rings keep the last 4,096 bytes of each stream.
    const command = "read x; i=0; while [ $i -lt 2000 ]; do printf 'line %05d\\n' $i; i=$((i+1)); done; echo e >&2";
    const session = await link.exec({ exec, command, stdin: true, ringBytes: 4096 });
    await session.write(Buffer.from("\n"));
    session.close();
    await ended(link, exec);

    const { stdout, stderr, lost, report } = await collect(await link.attach(exec, START));
    const bytes = 2000 * 11;
    expect(report).toMatchObject({ code: 0, stdoutBytes: bytes, stderrBytes: 2 });
    expect(stderr).toBe("e\n");
    expect(lost).toEqual([{ stream: "stdout", from: 0, to: bytes - stdout.length }]);
    expect(stdout).toHaveLength(4096);
    const whole = Array.from({ length: 2000 }, (_, i) => `line ${String(i).padStart(5, "0")}\n`).join("");
    expect(whole.endsWith(stdout)).toBe(true);

    const partly = await collect(await link.attach(exec, { stdout: bytes - 5000, stderr: 2 }));
    expect(partly.lost).toEqual([{ stream: "stdout", from: bytes - 5000, to: bytes - 4096 }]);
    const none = await collect(await link.attach(exec, { stdout: bytes - 4096, stderr: 2 }));
    expect(none.lost).toEqual([]);
  },

  "a command that nobody reads is never stopped": async (agent) => {
    const exec = newExecId();
    const link = await agent.link();
    const session = await link.exec({ exec, command: "head -c 20000000 /dev/zero", ringBytes: 4096 });
    session.close();
    await ended(link, exec);
    const [summary] = await link.list();
    expect(summary).toMatchObject({ exec, running: false, stdoutBytes: 20_000_000 });
  },

  "a second reader takes the place of the first": async (agent) => {
    const exec = newExecId();
    const link = await agent.link();
    const first = await link.exec({ exec, command: "read x; echo $x", stdin: true });
    const replaced = failureOf(drain(first));
    const second = await (await agent.link()).attach(exec, START);
    expect(await replaced).toMatchObject({ code: "exec/output-replaced" });
    await second.write(Buffer.from("mine\n"));
    expect((await collect(second)).stdout).toBe("mine\n");
  },

  "an attachment says how much input has been taken": async (agent) => {
    const exec = newExecId();
    const link = await agent.link();
    const session = await link.exec({ exec, command: ["cat"], stdin: true });
    await session.write(Buffer.from("12345"));
    expect(await readStdout(session[Symbol.asyncIterator](), 5)).toBe("12345");
    const socket = await agent.greeted();
    socket.send({ kind: "open", channel: 1, json: { type: "attach", exec, stdout: 5, stderr: 0 } });
    expect((await socket.next("ack")).json).toEqual({ pid: session.pid, stdinOffset: 5, running: true });
  },

  "refuses a command that it does not know, and an offset that is not yet": async (agent) => {
    const link = await agent.link();
    expect(await failureOf(link.attach(newExecId(), START))).toMatchObject({ code: "exec/not-found" });
    const exec = newExecId();
    await collect(await link.exec({ exec, command: "echo" }));
    expect(await failureOf(link.attach(exec, { stdout: 2, stderr: 0 }))).toMatchObject({ code: "exec/refused" });
  },

  "tells all who wait of a command's end, and disturbs nobody who listens": async (agent) => {
    const [link, other] = [await agent.link(), await agent.link()];
    const exec = newExecId();
    const session = await link.exec({ exec, command: "cat; exit 3", stdin: true });
    const waiting = [link.wait(exec), link.wait(exec), other.wait(exec)];
    const leaving = new AbortController();
    const left = failureOf(other.wait(exec, leaving.signal));
    await session.write(Buffer.from("12345"));
    leaving.abort(new Error("enough"));
    expect(await left).toMatchObject({ message: "enough" });
    await session.endInput();
    const { report, stdout } = await collect(session);
    expect(stdout).toBe("12345");
    expect(report).toMatchObject({ exec, code: 3, stdoutBytes: 5 });
    expect(await Promise.all(waiting)).toEqual([report, report, report]);
    expect(await other.wait(exec)).toEqual(report);
    await link.forget(exec);
    expect(await failureOf(link.wait(exec))).toMatchObject({ code: "exec/not-found" });
  },

  "tells of the end of a command that nobody listens to": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    (await link.exec({ exec, command: "head -c 3000000 /dev/zero; exit 4" })).close();
    expect(await link.wait(exec)).toMatchObject({ code: 4, stdoutBytes: 3_000_000 });
  },

  "takes input from one connection while another reads the output": async (agent) => {
    const [link, other] = [await agent.link(), await agent.link()];
    const exec = newExecId();
    const session = await link.exec({ exec, command: "cat; exit 3", stdin: true });
    const collected = collect(session);
    await session.write(Buffer.from("one "));
    // The agent has taken it when it answers what was asked behind it.
    await link.list();
    const feed = await other.input(exec);
    expect(feed.offset).toBe(4);
    await feed.write(Buffer.from("two "));
    // Who feeds has stdin to itself; what the reader sends meanwhile is passed over.
    await session.write(Buffer.from("lost "));
    await link.list();
    feed.close();
    const again = await other.input(exec);
    expect(again.offset).toBe(8);
    await again.write(Buffer.alloc(1_000_000, "x"));
    await again.end();
    const { report, stdout } = await collected;
    expect(stdout).toBe(`one two ${"x".repeat(1_000_000)}`);
    expect(report.code).toBe(3);
    // After the command's end input is dropped, as on its own session.
    const late = await other.input(exec);
    await late.write(Buffer.alloc(1_000_000));
  },

  "a later input takes the place of the earlier, and commands without stdin take none": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const session = await link.exec({ exec, command: ["cat"], stdin: true });
    const first = await link.input(exec);
    const second = await (await agent.link()).input(exec);
    // It hears of it with the next answer at the latest.
    await link.list();
    expect(await failureOf(first.write(Buffer.from("x")))).toMatchObject({ code: "exec/output-replaced" });
    await second.write(Buffer.from("mine"));
    await second.end();
    expect((await collect(session)).stdout).toBe("mine");

    const deaf = newExecId();
    await collect(await link.exec({ exec: deaf, command: ["true"] }));
    expect(await failureOf(link.input(deaf))).toMatchObject({ code: "exec/refused" });
    expect(await failureOf(link.input(newExecId()))).toMatchObject({ code: "exec/not-found" });
  },

  "lists commands until they are forgotten": async (agent) => {
    const link = await agent.link();
    const [done, running] = [newExecId(), newExecId()];
    await collect(await link.exec({ exec: done, command: "echo hi" }));
    const session = await link.exec({ exec: running, command: ["cat"], stdin: true });
    const byId = new Map((await link.list()).map((summary) => [summary.exec, summary]));
    expect(byId.get(done)).toMatchObject({ running: false, stdoutBytes: 3, stderrBytes: 0 });
    expect(byId.get(running)).toEqual({
      exec: running,
      pid: session.pid,
      running: true,
      stdoutBytes: 0,
      stderrBytes: 0,
      wallMs: expect.any(Number),
      report: null,
    });
    expect(byId.get(done)?.report).toMatchObject({ exec: done, code: 0, wallMs: byId.get(done)?.wallMs });

    expect(await failureOf(link.forget(running))).toMatchObject({ code: "exec/refused" });
    await link.forget(done);
    expect((await link.list()).map(({ exec }) => exec)).toEqual([running]);
    expect(await failureOf(link.attach(done, START))).toMatchObject({ code: "exec/not-found" });
    expect(await failureOf(link.forget(done))).toMatchObject({ code: "exec/not-found" });
  },

  "keeps the last 64 commands that have ended": async (agent) => {
    const link = await agent.link();
    const ids = Array.from({ length: 70 }, newExecId);
    for (const exec of ids) await collect(await link.exec({ exec, command: ["true"] }));
    const kept = (await link.list()).map(({ exec }) => exec);
    expect(new Set(kept)).toEqual(new Set(ids.slice(-64)));
  },
};
