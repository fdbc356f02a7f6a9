import { once } from "node:events";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ScriptedPeer } from "../../test/support/scripted-peer.ts";
import { newSandboxId } from "../model/ids.ts";
import { AgentLink } from "./agent-link.ts";
import { INITIAL_CREDIT } from "./flow-control.ts";

const sandbox = newSandboxId();
const KIB_64 = 65_536;

let peer: ScriptedPeer;
let agent: AgentLink;
beforeEach(async () => {
  peer = await ScriptedPeer.start();
  agent = new AgentLink(peer.stream, sandbox, 1);
  await peer.next("hello");
  const json = { generation: 1, role: "agent", version: "0.1.0", sandbox, incarnation: 1, capabilities: [] };
  peer.send({ kind: "hello", channel: 0, json });
});
afterEach(async () => {
  agent.close();
  await peer[Symbol.asyncDispose]();
});

async function dial(): Promise<{ stream: Duplex; channel: number }> {
  const pending = agent.dial({ port: 80 });
  const { channel } = await peer.next("open");
  peer.send({ kind: "ack", channel, json: {} });
  return { stream: await pending, channel };
}

const data = (channel: number, offset: number, bytes: Uint8Array, stream = 1) =>
  peer.send({ kind: "data", channel, stream, offset, bytes });
const end = (channel: number, offset: number) => peer.send({ kind: "end", channel, stream: 1, offset });
const exit = (channel: number) => peer.send({ kind: "exit", channel, json: { inBytes: 0, outBytes: 0 } });

async function settle(): Promise<void> {
  const answer = agent.ports();
  const { channel } = await peer.next("open");
  peer.send({ kind: "ack", channel, json: { ports: [] } });
  await answer;
}

it.each([{ port: 80 }, { port: 80, host: "::1" }, { socket: "/run/x" }])("%j is asked for as it is", async (target) => {
  const pending = agent.dial(target);
  expect(await peer.next("open")).toMatchObject({ json: { type: "dial", ...target } });
  agent.close();
  await expect(pending).rejects.toMatchObject({ code: "agent/unreachable" });
});

describe("a dial that is refused", () => {
  it.each([
    ["connection-refused", "port/unreachable"],
    ["no-such-file", "port/unreachable"],
    ["bad-address", "input/invalid"],
  ])("for %s is %s", async (code, known) => {
    const pending = agent.dial({ port: 80 });
    const { channel } = await peer.next("open");
    peer.send({ kind: "error", channel, json: { code, message: "no" } });
    await expect(pending).rejects.toMatchObject({ code: known });
  });

  it("is closed when its signal aborts first", async () => {
    const gone = new AbortController();
    const pending = agent.dial({ port: 80 }, gone.signal);
    const { channel } = await peer.next("open");
    gone.abort();
    await expect(pending).rejects.toThrow();
    expect(await peer.next("close")).toMatchObject({ channel });
  });
});

describe("a connection", () => {
  it("is half closed by either side", async () => {
    const { stream, channel } = await dial();
    stream.end("question");
    const bytes = Buffer.from((await peer.next("data")).bytes).toString();
    expect(bytes).toBe("question");
    expect(await peer.next("end")).toMatchObject({ channel, stream: 0, offset: 8 });
    data(channel, 0, Buffer.from("answer"));
    end(channel, 6);
    exit(channel);
    expect(Buffer.concat(await stream.toArray()).toString()).toBe("answer");
  });

  it("takes what is written after the target's end", async () => {
    const { stream, channel } = await dial();
    end(channel, 0);
    stream.resume();
    await once(stream, "end");
    stream.end("late");
    expect((await peer.next("data")).offset).toBe(0);
    expect((await peer.next("end")).offset).toBe(4);
  });

  it("tells a writer that nobody takes its bytes any more, after the last byte has been read", async () => {
    const { stream, channel } = await dial();
    data(channel, 0, Buffer.from("bye"));
    end(channel, 3);
    exit(channel);
    await settle();
    expect(stream.destroyed).toBe(false);
    const closed = once(stream, "close");
    expect(String(await once(stream, "data"))).toBe("bye");
    await closed;
  });

  it("gives what came before it broke, and then the error", async () => {
    const { stream, channel } = await dial();
    data(channel, 0, Buffer.from("one"));
    data(channel, 3, Buffer.from("two"));
    peer.send({ kind: "error", channel, json: { code: "connection-reset", message: "gone" } });
    await settle();
    const got: string[] = [];
    stream.on("data", (bytes) => got.push(String(bytes)));
    const error = await new Promise((resolve) => stream.on("error", resolve));
    expect(got.join("")).toBe("onetwo");
    expect(error).toMatchObject({ code: "port/reset" });
  });

  it("that breaks before anybody listens harms nothing", async () => {
    const pending = agent.dial({ port: 80 });
    const { channel } = await peer.next("open");
    peer.send({ kind: "ack", channel, json: {} });
    peer.send({ kind: "error", channel, json: { code: "connection-reset", message: "gone" } });
    const stream = await pending;
    await settle();
    stream.resume();
    await settle();
    expect(stream.errored).toMatchObject({ code: "port/reset" });
  });

  it("grants credit for what is read, not for what comes", async () => {
    const { stream, channel } = await dial();
    for (let offset = 0; offset < INITIAL_CREDIT; offset += KIB_64) data(channel, offset, Buffer.alloc(KIB_64));
    // Would fail on a credit that comes before its own request.
    await settle();
    stream.resume();
    expect((await peer.next("credit")).bytes).toBe(KIB_64);
  });

  it("writes within the peer's credit", async () => {
    const { stream, channel } = await dial();
    let taken = false;
    stream.write(Buffer.alloc(INITIAL_CREDIT + 1), () => {
      taken = true;
    });
    for (let offset = 0; offset < INITIAL_CREDIT; offset += KIB_64) await peer.next("data");
    await settle();
    expect(taken).toBe(false);
    peer.send({ kind: "credit", channel, bytes: 1 });
    expect((await peer.next("data")).bytes.length).toBe(1);
  });

  it.each([
    ["a gap", (channel: number) => data(channel, 1, Buffer.from("x"))],
    ["a stream that is not there", (channel: number) => data(channel, 0, Buffer.from("x"), 2)],
    ["more than the credit", (channel: number) => data(channel, 0, Buffer.alloc(INITIAL_CREDIT + 1))],
    ["bytes after the end", (channel: number) => [end(channel, 0), data(channel, 0, Buffer.from("x"))]],
    ["a loss", (channel: number) => peer.send({ kind: "lost", channel, stream: 1, from: 0, to: 1 })],
  ])("to an agent that sends %s ends with the link", async (_what, send) => {
    const { channel } = await dial();
    send(channel);
    expect((await agent.ended).code).toBe("agent/protocol");
  });
});
