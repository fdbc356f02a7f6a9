import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  exec,
  exit,
  failureOf,
  KIB_64,
  output,
  readAll,
  report,
  ScriptedAgent,
} from "../../test/support/scripted-agent.ts";
import type { ScriptedPeer } from "../../test/support/scripted-peer.ts";
import type { ExecReport } from "../model/exec.ts";
import { newExecId } from "../model/ids.ts";
import type { AgentLink } from "./agent-link.ts";
import type { Frame } from "./frame.ts";

let scripted: ScriptedAgent;
let peer: ScriptedPeer;
let agent: AgentLink;
beforeEach(async () => {
  scripted = await ScriptedAgent.start();
  ({ peer, link: agent } = scripted);
});
afterEach(() => scripted[Symbol.asyncDispose]());

describe("requests are written as the protocol says", () => {
  test.each<{ ask: (link: AgentLink) => Promise<unknown>; json: object }>([
    {
      ask: (link) => link.exec({ exec, command: ["ls", "-l"], cwd: "/", env: { A: "b" }, wallMs: 5 }),
      json: { type: "exec", exec, argv: ["ls", "-l"], cwd: "/", env: { A: "b" }, wallMs: 5 },
    },
    { ask: (link) => link.exec({ exec, command: "ls | wc" }), json: { type: "exec", exec, shell: "ls | wc" } },
    {
      ask: (link) => link.attach(exec, { stdout: 5, stderr: 6 }),
      json: { type: "attach", exec, stdout: 5, stderr: 6 },
    },
    {
      ask: (link) => link.read(exec, { from: { stdout: 5, stderr: 6 }, follow: true }),
      json: { type: "read", exec, stdout: 5, stderr: 6, follow: true },
    },
    {
      ask: (link) => link.signal(exec, "SIGINT", "process"),
      json: { type: "signal", exec, signal: "SIGINT", scope: "process" },
    },
    {
      ask: (link) => link.resize(exec, { columns: 80, rows: 24 }),
      json: { type: "resize", exec, columns: 80, rows: 24 },
    },
    { ask: (link) => link.wait(exec), json: { type: "wait", exec } },
    { ask: (link) => link.input(exec), json: { type: "input", exec } },
    { ask: (link) => link.forget(exec), json: { type: "forget", exec } },
    { ask: (link) => link.ports(), json: { type: "ports" } },
    { ask: (link) => link.usage(), json: { type: "usage" } },
    { ask: (link) => link.processes(), json: { type: "processes" } },
    { ask: (link) => link.stop(), json: { type: "stop" } },
  ])("$json", async ({ ask, json }) => {
    const answer = ask(agent);
    const open = await peer.next("open");
    expect(open.json).toEqual(json);
    peer.send({ kind: "error", channel: open.channel, json: { code: "exec-not-found", message: "no" } });
    await expect(answer).rejects.toMatchObject({ code: "exec/not-found" });
  });

  test("and a wait is answered by the report of the command's end", async () => {
    const answer = agent.wait(exec);
    const { channel } = await peer.next("open");
    peer.send({ kind: "ack", channel, json: {} });
    const json: ExecReport = {
      ...{ exec, code: null, signal: "SIGKILL", limit: "wall", wallMs: 5.5, userMs: 1, systemMs: 2 },
      ...{ peakRssBytes: 4096, stdoutBytes: 7, stderrBytes: 0 },
    };
    peer.send({ kind: "exit", channel, json: { ...json } });
    await expect(answer).resolves.toEqual(json);
  });

  test("and a wait that is given up is closed", async () => {
    const leaving = new AbortController();
    const answer = agent.wait(exec, leaving.signal);
    const { channel } = await peer.next("open");
    leaving.abort(new Error("enough"));
    await expect(answer).rejects.toThrow("enough");
    expect(await peer.next("close")).toMatchObject({ channel });
  });

  test("and their answers are read", async () => {
    const usage = agent.usage();
    const json = { processes: 3, rssBytes: 811_008, uptimeMs: 1234.5 };
    peer.send({ kind: "ack", channel: (await peer.next("open")).channel, json });
    await expect(usage).resolves.toEqual(json);
    const list = agent.list();
    const execs = [{ exec, pid: 7, running: true, stdoutBytes: 2, stderrBytes: 0, wallMs: 1.5, report: null }];
    peer.send({ kind: "ack", channel: (await peer.next("open")).channel, json: { execs } });
    await expect(list).resolves.toEqual(execs);
  });
});

describe("a session", () => {
  test("gives the command's events in order and ends after exit", async () => {
    const { session, channel, events } = await scripted.exec();
    peer.send(
      output(channel, 0, Buffer.from("out")),
      output(channel, 0, Buffer.from("err"), 2),
      { kind: "end", channel, stream: 1, offset: 3 },
      { kind: "end", channel, stream: 2, offset: 3 },
      exit(channel),
    );
    expect(session.pid).toBe(7);
    expect(session.exec).toBe(exec);
    expect(await readAll(events)).toEqual([
      { kind: "output", stream: "stdout", offset: 0, bytes: Buffer.from("out") },
      { kind: "output", stream: "stderr", offset: 0, bytes: Buffer.from("err") },
      { kind: "end", stream: "stdout", offset: 3 },
      { kind: "end", stream: "stderr", offset: 3 },
      { kind: "exit", report },
    ]);
  });

  test("is the same for a reader that waits and for one that comes late", async () => {
    const { channel, events } = await scripted.exec();
    const waiting = events.next();
    peer.send(output(channel, 0, Buffer.from("early")));
    expect(await waiting).toMatchObject({ value: { offset: 0 } });
    peer.send(output(channel, 5, Buffer.from("late")), exit(channel));
    await scripted.settle();
    expect(await events.next()).toMatchObject({ value: { offset: 5 } });
    expect(await events.next()).toEqual({ done: false, value: { kind: "exit", report } });
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test("has a single reader, which asks for one event at a time", async () => {
    const { session, events } = await scripted.exec();
    expect(() => session[Symbol.asyncIterator]()).toThrowError(expect.objectContaining({ code: "internal" }));
    const first = events.next();
    await expect(events.next()).rejects.toMatchObject({ code: "internal" });
    session.close();
    await expect(first).resolves.toEqual({ done: true, value: undefined });
  });

  test("drops empty output", async () => {
    const { channel, events } = await scripted.exec();
    peer.send(output(channel, 0, Buffer.alloc(0)), exit(channel));
    expect(await events.next()).toMatchObject({ value: { kind: "exit" } });
  });

  test("names what was lost, and goes on behind it", async () => {
    const pending = agent.attach(exec, { stdout: 10, stderr: 0 });
    const { channel } = await peer.next("open");
    peer.send({ kind: "ack", channel, json: { pid: 9, stdinOffset: 0, running: true } });
    const session = await pending;
    const events = session[Symbol.asyncIterator]();
    peer.send({ kind: "lost", channel, stream: 1, from: 10, to: 30 }, output(channel, 30, Buffer.from("x")));
    expect(await events.next()).toMatchObject({ value: { kind: "lost", stream: "stdout", from: 10, to: 30 } });
    expect(await events.next()).toMatchObject({ value: { kind: "output", offset: 30 } });
  });

  test("closed by its reader sends close once, drops what is queued and ends", async () => {
    const { session, channel, events } = await scripted.exec();
    peer.send(output(channel, 0, Buffer.from("queued")));
    await scripted.settle();
    await events.return?.();
    session.close();
    expect(await peer.next("close")).toEqual({ kind: "close", channel });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await scripted.settle();
  });

  test("sends no close after exit", async () => {
    const { session, channel, events } = await scripted.exec();
    peer.send(exit(channel));
    await events.next();
    session.close();
    await scripted.settle();
  });

  test("whose link dies gives what has come, then agent/unreachable", async () => {
    const { channel, events } = await scripted.exec();
    peer.send(output(channel, 0, Buffer.from("seen")));
    peer.hangUp();
    await agent.ended;
    expect(await events.next()).toMatchObject({ value: { offset: 0, bytes: Buffer.from("seen") } });
    await expect(events.next()).rejects.toMatchObject({ code: "agent/unreachable" });
  });

  test("fails a reader that waits when the link dies", async () => {
    const { events } = await scripted.exec();
    const waiting = failureOf(events.next());
    peer.hangUp();
    expect(await waiting).toMatchObject({ code: "agent/unreachable" });
  });

  test("that another attachment replaces ends with exec/output-replaced", async () => {
    const { channel, events } = await scripted.exec();
    peer.send({ kind: "error", channel, json: { code: "replaced", message: "another host listens" } });
    await expect(events.next()).rejects.toMatchObject({ code: "exec/output-replaced" });
    await scripted.settle();
  });
});

describe("a hostile agent is cut off", () => {
  const bytes = Buffer.from("x");
  test.each<{ what: string; frames: (channel: number) => Frame[] }>([
    { what: "a gap in a stream", frames: (c) => [output(c, 1, bytes)] },
    { what: "bytes repeated", frames: (c) => [output(c, 0, bytes), output(c, 0, bytes)] },
    { what: "output on stdin", frames: (c) => [output(c, 0, bytes, 0)] },
    { what: "an end elsewhere", frames: (c) => [{ kind: "end", channel: c, stream: 1, offset: 1 }] },
    {
      what: "output after its end",
      frames: (c) => [{ kind: "end", channel: c, stream: 1, offset: 0 }, output(c, 0, bytes)],
    },
    {
      what: "a loss after the first bytes",
      frames: (c) => [output(c, 0, bytes), { kind: "lost", channel: c, stream: 1, from: 1, to: 2 }],
    },
    {
      what: "loss after loss",
      frames: (c) => [0, 1].map((from) => ({ kind: "lost", channel: c, stream: 1, from, to: from + 1 })),
    },
    { what: "a second ack", frames: (c) => [{ kind: "ack", channel: c, json: { pid: 8 } }] },
    { what: "credit without bound", frames: (c) => [{ kind: "credit", channel: c, bytes: 2 ** 31 }] },
    {
      what: "more data than credit",
      frames: (c) => [0, 1, 2, 3, 4].map((i) => output(c, i * KIB_64, Buffer.alloc(KIB_64))),
    },
    {
      what: "the exit of another command",
      frames: (c) => [{ kind: "exit", channel: c, json: { ...report, exec: newExecId() } }],
    },
    {
      what: "an exit with code and signal",
      frames: (c) => [{ kind: "exit", channel: c, json: { ...report, signal: "SIGKILL" } }],
    },
    { what: "an exit with neither", frames: (c) => [{ kind: "exit", channel: c, json: { ...report, code: null } }] },
  ])("for $what", async ({ frames }) => {
    const { channel } = await scripted.exec();
    peer.send(...frames(channel));
    expect(await agent.ended).toMatchObject({ code: "agent/protocol" });
  });

  test.each<{ what: string; early: (channel: number) => Frame }>([
    { what: "output", early: (channel) => output(channel, 0, Buffer.from("x")) },
    { what: "an exit", early: (channel) => ({ kind: "exit", channel, json: { pid: 7 } }) },
  ])("for $what before it accepts", async ({ early }) => {
    const pending = agent.exec({ exec, command: "true" });
    peer.send(early((await peer.next("open")).channel));
    await expect(pending).rejects.toMatchObject({ code: "agent/protocol" });
  });
});

describe("an abort", () => {
  test("before the command runs kills it, in case it runs by then", async () => {
    const controller = new AbortController();
    const failure = failureOf(agent.exec({ exec, command: ["sleep", "9"] }, controller.signal));
    const { channel } = await peer.next("open");
    controller.abort("enough");
    expect(await failure).toBe("enough");
    expect(await peer.next("close")).toEqual({ kind: "close", channel });
    const kill = await peer.next("open");
    expect(kill.json).toEqual({ type: "signal", exec, signal: "SIGKILL", scope: "all" });
    peer.send({ kind: "ack", channel, json: { pid: 7 } }, { kind: "ack", channel: kill.channel, json: {} });
    await scripted.settle();
  });

  test("after that leaves the session alone", async () => {
    const controller = new AbortController();
    const pending = agent.exec({ exec, command: ["cat"] }, controller.signal);
    const { channel } = await peer.next("open");
    peer.send({ kind: "ack", channel, json: { pid: 7 } });
    const session = await pending;
    controller.abort();
    peer.send(exit(channel));
    const kinds: string[] = [];
    for await (const event of session) kinds.push(event.kind);
    expect(kinds).toEqual(["exit"]);
  });

  test("that came before the request sends nothing", async () => {
    await expect(agent.exec({ exec, command: "true" }, AbortSignal.abort("no"))).rejects.toBe("no");
    await expect(agent.attach(exec, { stdout: 0, stderr: 0 }, AbortSignal.abort("no"))).rejects.toBe("no");
    await scripted.settle();
  });
});
