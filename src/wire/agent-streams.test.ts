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
import { newExecId } from "../model/ids.ts";
import type { AgentLink } from "./agent-link.ts";
import { INITIAL_CREDIT } from "./flow-control.ts";
import type { Frame } from "./frame.ts";

let scripted: ScriptedAgent;
let peer: ScriptedPeer;
let agent: AgentLink;
beforeEach(async () => {
  scripted = await ScriptedAgent.start();
  ({ peer, link: agent } = scripted);
});
afterEach(() => scripted[Symbol.asyncDispose]());

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

describe("flow control", () => {
  test("gives credit back as the reader takes events, never before", async () => {
    const { channel, events } = await scripted.exec();
    for (let i = 0; i < 4; i++) peer.send(output(channel, i * KIB_64, Buffer.alloc(KIB_64)));
    // The next frame from the link is the question of `settle`: no credit has come for what nobody took.
    await scripted.settle();
    await events.next();
    expect(await peer.next("credit")).toEqual({ kind: "credit", channel, bytes: KIB_64 });
    await scripted.settle();
    for (let i = 0; i < 3; i++) await events.next();
    for (let i = 0; i < 3; i++) expect((await peer.next("credit")).bytes).toBe(KIB_64);
  });

  test("a reader that stops stalls only its own channel", async () => {
    const stalled = await scripted.exec();
    for (let i = 0; i < 4; i++) peer.send(output(stalled.channel, i * KIB_64, Buffer.alloc(KIB_64)));
    const running = await scripted.exec({ exec: newExecId() });
    for (let offset = 0; offset < 10 * INITIAL_CREDIT; offset += KIB_64) {
      peer.send(output(running.channel, offset, Buffer.alloc(KIB_64)));
      expect(await running.events.next()).toMatchObject({ value: { offset } });
      expect(await peer.next("credit")).toMatchObject({ channel: running.channel });
    }
  });

  test("lets a writer send what the credit allows, and the rest as more comes", async () => {
    const { session, channel } = await scripted.exec({ stdin: true });
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
    await scripted.settle();
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
    const { session } = await scripted.exec({ stdin: true });
    await session.endInput();
    await session.endInput();
    await peer.next("end");
    await expect(session.write(Buffer.from("x"))).rejects.toMatchObject({ code: "input/invalid" });
    await scripted.settle();
  });

  const tooMuch = Buffer.alloc(INITIAL_CREDIT + 1);
  test("that waits for credit is dropped when the command ends", async () => {
    const { session, channel } = await scripted.exec({ stdin: true });
    const writing = session.write(tooMuch);
    peer.send(exit(channel));
    await writing;
    await session.write(Buffer.from("after the end"));
    await session.endInput();
  });

  test("that waits for credit fails when the session is closed", async () => {
    const { session } = await scripted.exec({ stdin: true });
    const failure = failureOf(session.write(tooMuch));
    for (let offset = 0; offset < INITIAL_CREDIT; ) offset += (await peer.next("data")).bytes.length;
    session.close();
    expect(await failure).toMatchObject({ code: "aborted" });
  });

  test("that waits for credit fails when the link dies", async () => {
    const { session } = await scripted.exec({ stdin: true });
    const failure = failureOf(session.write(tooMuch));
    peer.hangUp();
    expect(await failure).toMatchObject({ code: "agent/unreachable" });
  });
});
