import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ScriptedPeer } from "../../test/support/scripted-peer.ts";
import type { PlyboxError } from "../model/errors.ts";
import type { ExecEvent, ExecReport, ExecRequest, ExecSession } from "../model/exec.ts";
import { newExecId, newSandboxId } from "../model/ids.ts";
import { AgentLink } from "./agent-link.ts";
import { INITIAL_CREDIT } from "./flow-control.ts";
import type { Frame } from "./frame.ts";

const sandbox = newSandboxId();
const exec = newExecId();
const hello: Frame = {
  kind: "hello",
  channel: 0,
  json: { generation: 1, role: "agent", version: "0.1.0", sandbox, incarnation: 1, capabilities: [] },
};
const report: ExecReport = {
  exec,
  code: 0,
  signal: null,
  limit: null,
  wallMs: 1.5,
  userMs: 0,
  systemMs: 0.5,
  peakRssBytes: 1000,
  stdoutBytes: 0,
  stderrBytes: 0,
};
const KIB_64 = 65_536;

let peer: ScriptedPeer;
let agent: AgentLink;
beforeEach(async () => {
  peer = await ScriptedPeer.start();
  agent = new AgentLink(peer.stream, sandbox, 1);
  await peer.next("hello");
  peer.send(hello);
});
afterEach(async () => {
  agent.close();
  await peer[Symbol.asyncDispose]();
});

interface Started {
  session: ExecSession;
  channel: number;
  events: AsyncIterator<ExecEvent>;
}

async function start(request: Partial<ExecRequest> = {}): Promise<Started> {
  const pending = agent.exec({ exec, command: ["cat"], ...request });
  const { channel } = await peer.next("open");
  peer.send({ kind: "ack", channel, json: { pid: 7 } });
  const session = await pending;
  return { session, channel, events: session[Symbol.asyncIterator]() };
}

const output = (channel: number, offset: number, bytes: Uint8Array, stream = 1): Frame => ({
  kind: "data",
  channel,
  stream,
  offset,
  bytes,
});
const exit = (channel: number): Frame => ({ kind: "exit", channel, json: { ...report } });
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (reason: PlyboxError) => reason,
  );

async function readAll(events: AsyncIterator<ExecEvent>): Promise<ExecEvent[]> {
  const all: ExecEvent[] = [];
  for (let next = await events.next(); !next.done; next = await events.next()) all.push(next.value);
  return all;
}

/** Waits until the link has dealt with everything that was sent to it. */
async function settle(): Promise<void> {
  const answer = agent.list();
  const { channel } = await peer.next("open");
  peer.send({ kind: "ack", channel, json: { execs: [] } });
  await answer;
}

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
    const { session, channel, events } = await start();
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
    const { channel, events } = await start();
    const waiting = events.next();
    peer.send(output(channel, 0, Buffer.from("early")));
    expect(await waiting).toMatchObject({ value: { offset: 0 } });
    peer.send(output(channel, 5, Buffer.from("late")), exit(channel));
    await settle();
    expect(await events.next()).toMatchObject({ value: { offset: 5 } });
    expect(await events.next()).toEqual({ done: false, value: { kind: "exit", report } });
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test("has a single reader, which asks for one event at a time", async () => {
    const { session, events } = await start();
    expect(() => session[Symbol.asyncIterator]()).toThrowError(expect.objectContaining({ code: "internal" }));
    const first = events.next();
    await expect(events.next()).rejects.toMatchObject({ code: "internal" });
    session.close();
    await expect(first).resolves.toEqual({ done: true, value: undefined });
  });

  test("drops empty output", async () => {
    const { channel, events } = await start();
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
    const { session, channel, events } = await start();
    peer.send(output(channel, 0, Buffer.from("queued")));
    await settle();
    await events.return?.();
    session.close();
    expect(await peer.next("close")).toEqual({ kind: "close", channel });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await settle();
  });

  test("sends no close after exit", async () => {
    const { session, channel, events } = await start();
    peer.send(exit(channel));
    await events.next();
    session.close();
    await settle();
  });

  test("whose link dies gives what has come, then agent/unreachable", async () => {
    const { channel, events } = await start();
    peer.send(output(channel, 0, Buffer.from("seen")));
    peer.hangUp();
    await agent.ended;
    expect(await events.next()).toMatchObject({ value: { offset: 0, bytes: Buffer.from("seen") } });
    await expect(events.next()).rejects.toMatchObject({ code: "agent/unreachable" });
  });

  test("fails a reader that waits when the link dies", async () => {
    const { events } = await start();
    const waiting = failureOf(events.next());
    peer.hangUp();
    expect(await waiting).toMatchObject({ code: "agent/unreachable" });
  });

  test("that another attachment replaces ends with exec/output-replaced", async () => {
    const { channel, events } = await start();
    peer.send({ kind: "error", channel, json: { code: "replaced", message: "another host listens" } });
    await expect(events.next()).rejects.toMatchObject({ code: "exec/output-replaced" });
    await settle();
  });
});

describe("a reading", () => {
  const kept = { pid: 7, stdout: { from: 2, to: 5 }, stderr: { from: 0, to: 0 }, report: null };

  async function read(follow: boolean, ack: object = kept) {
    const pending = agent.read(exec, { from: { stdout: 1, stderr: 0 }, follow });
    const { channel } = await peer.next("open");
    peer.send({ kind: "ack", channel, json: { ...ack } });
    return { pending, channel };
  }

  test("says what there is before it gives it, and has no exit while the command runs", async () => {
    const { pending, channel } = await read(false);
    const reading = await pending;
    const { pid, stdout, stderr, report: ended } = reading;
    expect({ pid, stdout, stderr, report: ended }).toEqual(kept);
    peer.send({ kind: "lost", channel, stream: 1, from: 1, to: 2 }, output(channel, 2, Buffer.from("abc")), {
      kind: "exit",
      channel,
      json: { report: null },
    });
    expect(await readAll(reading[Symbol.asyncIterator]())).toEqual([
      { kind: "lost", stream: "stdout", from: 1, to: 2 },
      { kind: "output", stream: "stdout", offset: 2, bytes: Buffer.from("abc") },
    ]);
  });

  test("may lose bytes between others, and ends with the command's exit", async () => {
    const { pending, channel } = await read(true);
    const events = (await pending)[Symbol.asyncIterator]();
    peer.send(
      { kind: "lost", channel, stream: 1, from: 1, to: 4 },
      output(channel, 4, Buffer.from("d")),
      { kind: "lost", channel, stream: 1, from: 5, to: 9 },
      output(channel, 9, Buffer.from("e")),
      { kind: "exit", channel, json: { report: { ...report } } },
    );
    expect((await readAll(events)).map((event) => event.kind)).toEqual(["lost", "output", "lost", "output", "exit"]);
  });

  test("that follows ends with a report, or the agent is cut off", async () => {
    const { channel } = await read(true, { ...kept, stdout: { from: 1, to: 1 } });
    peer.send({ kind: "exit", channel, json: { report: null } });
    expect(await agent.ended).toMatchObject({ code: "agent/protocol" });
  });

  test("closed by its reader sends close and ends", async () => {
    const { pending, channel } = await read(true);
    const events = (await pending)[Symbol.asyncIterator]();
    await events.return?.();
    expect(await peer.next("close")).toEqual({ kind: "close", channel });
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test("of a command that is forgotten in the middle gives what has come, then exec/not-found", async () => {
    const { pending, channel } = await read(false);
    const events = (await pending)[Symbol.asyncIterator]();
    peer.send({ kind: "lost", channel, stream: 1, from: 1, to: 2 }, output(channel, 2, Buffer.from("a")), {
      kind: "error",
      channel,
      json: { code: "exec-not-found", message: "forgotten" },
    });
    expect(await events.next()).toMatchObject({ value: { kind: "lost" } });
    expect(await events.next()).toMatchObject({ value: { kind: "output" } });
    await expect(events.next()).rejects.toMatchObject({ code: "exec/not-found" });
  });

  test.each<{ what: string; ack?: object; frames?: (channel: number) => Frame[] }>([
    { what: "more kept than asked for", ack: { ...kept, stdout: { from: 0, to: 5 } } },
    { what: "a stream that ends before it begins", ack: { ...kept, stdout: { from: 6, to: 5 } } },
    { what: "the report of another command", ack: { ...kept, report: { ...report, exec: newExecId() } } },
    { what: "an exit before all has come", frames: (c) => [{ kind: "exit", channel: c, json: { report: null } }] },
    { what: "more than there was", frames: (c) => [output(c, 1, Buffer.from("abcde"))] },
    {
      what: "losses without end",
      ack: { ...kept, stdout: { from: 2, to: 5000 } },
      frames: (c) =>
        Array.from({ length: 1025 }, (_, at) => ({ kind: "lost", channel: c, stream: 1, from: at + 1, to: at + 2 })),
    },
  ])("of an agent that tells $what cuts it off", async ({ ack, frames }) => {
    const { pending, channel } = await read(false, ack);
    pending.catch(() => {});
    peer.send(...(frames?.(channel) ?? []));
    expect(await agent.ended).toMatchObject({ code: "agent/protocol" });
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
    const { channel } = await start();
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

describe("flow control", () => {
  test("gives credit back as the reader takes events, never before", async () => {
    const { channel, events } = await start();
    for (let i = 0; i < 4; i++) peer.send(output(channel, i * KIB_64, Buffer.alloc(KIB_64)));
    // The next frame from the link is the question of `settle`: no credit has come for what nobody took.
    await settle();
    await events.next();
    expect(await peer.next("credit")).toEqual({ kind: "credit", channel, bytes: KIB_64 });
    await settle();
    for (let i = 0; i < 3; i++) await events.next();
    for (let i = 0; i < 3; i++) expect((await peer.next("credit")).bytes).toBe(KIB_64);
  });

  test("a reader that stops stalls only its own channel", async () => {
    const stalled = await start();
    for (let i = 0; i < 4; i++) peer.send(output(stalled.channel, i * KIB_64, Buffer.alloc(KIB_64)));
    const running = await start({ exec: newExecId() });
    for (let offset = 0; offset < 10 * INITIAL_CREDIT; offset += KIB_64) {
      peer.send(output(running.channel, offset, Buffer.alloc(KIB_64)));
      expect(await running.events.next()).toMatchObject({ value: { offset } });
      expect(await peer.next("credit")).toMatchObject({ channel: running.channel });
    }
  });

  test("lets a writer send what the credit allows, and the rest as more comes", async () => {
    const { session, channel } = await start({ stdin: true });
    const input = Buffer.from(Array.from({ length: INITIAL_CREDIT + 3 }, (_, i) => i % 251));
    let isWritten = false;
    const writing = session.write(input).then(() => {
      isWritten = true;
    });
    const ending = session.endInput();
    const received: Uint8Array[] = [];
    let at = 0;
    const receive = async (until: number) => {
      while (at < until) {
        const frame = await peer.next("data");
        expect(frame).toMatchObject({ channel, stream: 0, offset: at });
        received.push(frame.bytes);
        at += frame.bytes.length;
      }
    };
    await receive(INITIAL_CREDIT);
    await settle();
    expect(isWritten).toBe(false);
    peer.send({ kind: "credit", channel, bytes: 1 });
    await receive(INITIAL_CREDIT + 1);
    peer.send({ kind: "credit", channel, bytes: 100 });
    await receive(input.length);
    await writing;
    await ending;
    expect(await peer.next("end")).toEqual({ kind: "end", channel, stream: 0, offset: input.length });
    expect(Buffer.concat(received).equals(input)).toBe(true);
  });
});

describe("stdin", () => {
  test("goes on where the agent is after attach", async () => {
    const pending = agent.attach(exec, { stdout: 0, stderr: 0 });
    const { channel } = await peer.next("open");
    peer.send({ kind: "ack", channel, json: { pid: 7, stdinOffset: 100, running: true } });
    const session = await pending;
    await session.write(Buffer.from("more"));
    expect(await peer.next("data")).toMatchObject({ offset: 100 });
  });

  test("ends once, and takes nothing afterwards", async () => {
    const { session } = await start({ stdin: true });
    await session.endInput();
    await session.endInput();
    await peer.next("end");
    await expect(session.write(Buffer.from("x"))).rejects.toMatchObject({ code: "input/invalid" });
    await settle();
  });

  const tooMuch = Buffer.alloc(INITIAL_CREDIT + 1);
  test("that waits for credit is dropped when the command ends", async () => {
    const { session, channel } = await start({ stdin: true });
    const writing = session.write(tooMuch);
    peer.send(exit(channel));
    await writing;
    await session.write(Buffer.from("after the end"));
    await session.endInput();
  });

  test("that waits for credit fails when the session is closed", async () => {
    const { session } = await start({ stdin: true });
    const failure = failureOf(session.write(tooMuch));
    for (let offset = 0; offset < INITIAL_CREDIT; ) offset += (await peer.next("data")).bytes.length;
    session.close();
    expect(await failure).toMatchObject({ code: "aborted" });
  });

  test("that waits for credit fails when the link dies", async () => {
    const { session } = await start({ stdin: true });
    const failure = failureOf(session.write(tooMuch));
    peer.hangUp();
    expect(await failure).toMatchObject({ code: "agent/unreachable" });
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
    await settle();
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
    await settle();
  });
});
