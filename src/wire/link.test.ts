import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ScriptedPeer } from "../../test/support/scripted-peer.ts";
import { deferred } from "../base/deferred.ts";
import type { PlyboxError } from "../model/errors.ts";
import { newSandboxId } from "../model/ids.ts";
import type { Frame } from "./frame.ts";
import { encodeFrame } from "./frame.ts";
import type { LauncherRequest } from "./launcher-messages.ts";
import type { ChannelFrame } from "./link.ts";
import { Link } from "./link.ts";
import { readEmpty } from "./messages.ts";
import type { PeerRefusal } from "./peer-errors.ts";

const sandbox = newSandboxId();
const hello = {
  generation: 1,
  role: "agent",
  version: "0.1.0",
  sandbox: sandbox as string,
  incarnation: 3,
  capabilities: ["exec"],
};
const helloFrame = (changes: object = {}): Frame => ({ kind: "hello", channel: 0, json: { ...hello, ...changes } });

let peer: ScriptedPeer;
let link: Link;
beforeEach(async () => {
  peer = await ScriptedPeer.start();
  link = new Link({ input: peer.stream, output: peer.stream, peer: "agent", sandbox, incarnation: 3 });
});
afterEach(async () => {
  link.close();
  await peer[Symbol.asyncDispose]();
});

/** Opens a channel and keeps what arrives on it. */
function openChannel() {
  const frames: ChannelFrame[] = [];
  const failure = deferred<PlyboxError>();
  const arrived = deferred();
  const channel = link.open(
    { type: "usage" },
    {
      receive: (frame) => {
        frames.push(frame);
        arrived.resolve();
      },
      fail: failure.resolve,
    },
  );
  return { channel, frames, arrived: arrived.promise, failure: failure.promise };
}

const codeOf = (error: PlyboxError) => error.code;

describe("hello", () => {
  test("is sent at once, and requests do not wait for the answer", async () => {
    const answer = link.request({ type: "list" }, readEmpty);
    expect((await peer.next("hello")).json).toEqual({ generation: 1, role: "host", sandbox, incarnation: 3 });
    const { channel, json } = await peer.next("open");
    expect(json).toEqual({ type: "list" });
    peer.send(helloFrame(), { kind: "ack", channel, json: {} });
    await expect(answer).resolves.toEqual({});
    await expect(link.hello).resolves.toEqual(hello);
  });

  test("of a newer generation is accepted: the peer adapts", async () => {
    peer.send(helloFrame({ generation: 7 }));
    await expect(link.hello).resolves.toMatchObject({ generation: 7 });
  });

  test.each([
    { what: "another sandbox", changes: { sandbox: newSandboxId() } },
    { what: "another incarnation", changes: { incarnation: 2 } },
    { what: "a launcher", changes: { role: "launcher" } },
    { what: "generation 0", changes: { generation: 0 } },
    { what: "an unknown field", changes: { extra: 1 } },
  ])("of $what ends the link", async ({ changes }) => {
    const answer = link.request({ type: "list" }, readEmpty);
    peer.send(helloFrame(changes));
    await expect(answer).rejects.toMatchObject({ code: "agent/protocol" });
    await expect(link.hello).rejects.toMatchObject({ code: "agent/protocol" });
  });

  test("that the peer refuses ends the link with the peer's words", async () => {
    peer.send({ kind: "error", channel: 0, json: { code: "wrong-sandbox", message: "this is another one" } });
    const error = await link.ended;
    expect(error).toMatchObject({ code: "agent/protocol" });
    expect(error.message).toContain("this is another one");
  });
});

describe("a protocol violation ends the link and fails every open channel", () => {
  const violations: { what: string; frames: Frame[] }[] = [
    { what: "a frame before hello", frames: [{ kind: "ack", channel: 1, json: {} }] },
    { what: "a second hello", frames: [helloFrame(), helloFrame()] },
    { what: "a hello on a channel", frames: [helloFrame(), { kind: "hello", channel: 1, json: hello }] },
    { what: "an open from the peer", frames: [helloFrame(), { kind: "open", channel: 1, json: {} }] },
    { what: "a close from the peer", frames: [helloFrame(), { kind: "close", channel: 1 }] },
    { what: "an ack on channel 0", frames: [helloFrame(), { kind: "ack", channel: 0, json: {} }] },
    { what: "a channel that was never opened", frames: [helloFrame(), { kind: "ack", channel: 3, json: {} }] },
    { what: "an error without a code", frames: [helloFrame(), { kind: "error", channel: 1, json: { message: "" } }] },
    { what: "data for a plain request", frames: [helloFrame(), { kind: "exit", channel: 1, json: {} }] },
    { what: "an ack with more in it", frames: [helloFrame(), { kind: "ack", channel: 1, json: { more: 1 } }] },
  ];
  test.each(violations)("$what", async ({ frames }) => {
    const answer = link.request({ type: "stop" }, readEmpty);
    const other = openChannel();
    peer.send(...frames);
    await expect(answer).rejects.toMatchObject({ code: "agent/protocol" });
    expect(codeOf(await other.failure)).toBe("agent/protocol");
    expect(codeOf(await link.ended)).toBe("agent/protocol");
    expect(peer.stream.destroyed).toBe(true);
  });

  test.each([
    { what: "an unknown kind", bytes: [5, 0, 0, 0, 99, 1, 0, 0, 0] },
    { what: "a length out of range", bytes: [255, 255, 255, 255] },
    { what: "a broken payload", bytes: [6, 0, 0, 0, 3, 1, 0, 0, 0, 0x7b] },
  ])("$what", async ({ bytes }) => {
    peer.send(helloFrame());
    await link.hello;
    peer.sendRaw(Uint8Array.from(bytes));
    expect(codeOf(await link.ended)).toBe("agent/protocol");
  });

  test("what follows the violation in the same chunk is not looked at", async () => {
    const { frames, failure } = openChannel();
    peer.send(helloFrame(), helloFrame(), { kind: "ack", channel: 1, json: {} });
    await failure;
    expect(frames).toEqual([]);
  });
});

describe("a connection that ends", () => {
  test("fails requests and channels, as unreachable", async () => {
    const answer = link.request({ type: "stop" }, readEmpty);
    const { failure } = openChannel();
    peer.hangUp();
    await expect(answer).rejects.toMatchObject({ code: "agent/unreachable" });
    expect(codeOf(await failure)).toBe("agent/unreachable");
    await expect(link.request({ type: "stop" }, readEmpty)).rejects.toMatchObject({ code: "agent/unreachable" });
    expect(() => openChannel()).toThrowError(expect.objectContaining({ code: "agent/unreachable" }));
  });

  test("inside a frame says so", async () => {
    peer.sendRaw(Uint8Array.of(20, 0, 0, 0, 4));
    peer.hangUp();
    expect((await link.ended).message).toContain("inside a frame");
  });

  test("while the peer takes nothing more is noticed", async () => {
    peer.pause();
    const answer = link.request({ type: "stop" }, readEmpty);
    // More than the socket takes: it cannot close by itself.
    link.request({ type: "exec", ...{ padding: "x".repeat(1_000_000) } }, readEmpty).catch(codeOf);
    peer.hangUp();
    await expect(answer).rejects.toMatchObject({ code: "agent/unreachable" });
  });

  test("by an error of the stream keeps the cause", async () => {
    const cause = new Error("the wire is cut");
    peer.stream.destroy(cause);
    expect(await link.ended).toMatchObject({ code: "agent/unreachable", cause });
  });

  test("by close fails what is open; closing twice is harmless", async () => {
    const { failure } = openChannel();
    link.close();
    link.close();
    expect(codeOf(await failure)).toBe("agent/unreachable");
    expect(peer.stream.destroyed).toBe(true);
  });

  test("because the peer has stopped reading takes no memory without bound", async () => {
    peer.pause();
    const request = { type: "exec", padding: "x".repeat(1_000_000) };
    const refused = Array.from({ length: 64 }, () => link.request(request, readEmpty).catch(codeOf));
    expect(codeOf(await link.ended)).toBe("agent/unreachable");
    expect(new Set(await Promise.all(refused))).toEqual(new Set(["agent/unreachable"]));
  });

  test("leaves no listener on the stream but the one that silences late errors", async () => {
    openChannel();
    link.close();
    const own = ["data", "drain"].map((event) => peer.stream.listenerCount(event));
    expect(own).toEqual([0, 0]);
    expect(peer.stream.emit("error", new Error("late"))).toBe(true);
  });
});

describe("channels", () => {
  test("have numbers of their own, and each gets what is meant for it", async () => {
    const first = openChannel();
    const second = openChannel();
    await peer.next("hello");
    const numbers = [(await peer.next("open")).channel, (await peer.next("open")).channel] as const;
    expect(new Set(numbers).size).toBe(2);
    const sent: Frame = { kind: "data", channel: numbers[1], stream: 1, offset: 0, bytes: Buffer.from("two") };
    peer.send(helloFrame(), sent, { kind: "ack", channel: numbers[0], json: {} });
    await Promise.all([first.arrived, second.arrived]);
    expect(first.frames).toEqual([{ kind: "ack", channel: numbers[0], json: {} }]);
    expect(second.frames).toEqual([sent]);
  });

  test("get nothing more once closed, and what was on its way does no harm", async () => {
    const closed = openChannel();
    const open = openChannel();
    closed.channel.close();
    closed.channel.close();
    closed.channel.send({ kind: "credit", bytes: 1 });
    await peer.next("hello");
    const { channel } = await peer.next("open");
    const other = await peer.next("open");
    expect(await peer.next("close")).toEqual({ kind: "close", channel });
    peer.send(
      helloFrame(),
      { kind: "data", channel, stream: 1, offset: 0, bytes: Buffer.from("late") },
      { kind: "error", channel, json: { code: "replaced", message: "" } },
      { kind: "ack", channel: other.channel, json: {} },
    );
    await open.arrived;
    expect(closed.frames).toEqual([]);
    open.channel.close();
    // The next frame shows that neither a second close nor credit came before.
    expect(await peer.next("close")).toEqual({ kind: "close", channel: other.channel });
  });

  test("end with the peer's refusal, and the link goes on", async () => {
    const refused = openChannel();
    await peer.next("hello");
    const { channel } = await peer.next("open");
    const json = { code: "no-resources", message: "no more processes", step: "fork", errno: "EAGAIN" };
    peer.send(helloFrame(), { kind: "error", channel, json });
    expect(await refused.failure).toMatchObject({ code: "exec/refused", step: "fork", errno: "EAGAIN" });
    const next = link.request({ type: "list" }, readEmpty);
    peer.send({ kind: "ack", channel: (await peer.next("open")).channel, json: {} });
    await next;
  });

  test("end with exit", async () => {
    const { channel: held, frames, arrived } = openChannel();
    await peer.next("hello");
    const { channel } = await peer.next("open");
    peer.send(helloFrame(), { kind: "exit", channel, json: {} }, { kind: "exit", channel, json: {} });
    await arrived;
    held.close();
    const next = link.request({ type: "list" }, readEmpty);
    peer.send({ kind: "ack", channel: (await peer.next("open")).channel, json: {} });
    await next;
    expect(frames).toEqual([{ kind: "exit", channel, json: {} }]);
  });
});

describe("a refusal", () => {
  test.each([
    ["not-found", "exec/program-not-found"],
    ["not-executable", "exec/not-executable"],
    ["exec-not-found", "exec/not-found"],
    ["exec-exists", "exec/exists"],
    ["replaced", "exec/output-replaced"],
    ["bad-cwd", "exec/refused"],
    ["constructor", "exec/refused"],
  ])("%s of an agent is %s", async (code, expected) => {
    const answer = link.request({ type: "list" }, readEmpty);
    peer.send(helloFrame(), { kind: "error", channel: 1, json: { code, message: "no", field: "cwd" } });
    const error = await answer.then(
      () => expect.unreachable(),
      (reason: PlyboxError) => reason,
    );
    expect(error).toMatchObject({ code: expected, message: "no", field: "cwd" });
    expect((error.cause as PeerRefusal).code).toBe(code);
  });

  test("of the launcher is launcher/failed with step and errno, over a pair of streams", async () => {
    const input = new PassThrough();
    const output = new PassThrough();
    const launcher = new Link({ input, output, peer: "launcher", sandbox: "", incarnation: 0 });
    const unmount: LauncherRequest = { type: "unmount", target: "/run/x" };
    const answer = launcher.request(unmount, readEmpty);
    input.write(encodeFrame(helloFrame({ role: "launcher", sandbox: "", incarnation: 0 })));
    const json = { code: "mount", message: "cannot mount", step: "overlay", errno: "EINVAL" };
    input.write(encodeFrame({ kind: "error", channel: 1, json }));
    await expect(answer).rejects.toMatchObject({ code: "launcher/failed", step: "overlay", errno: "EINVAL" });
    const lost = launcher.request(unmount, readEmpty);
    input.end();
    await expect(lost).rejects.toMatchObject({ code: "launcher/failed" });
    expect(output.destroyed).toBe(true);
  });

  test("with a message of any length is passed on, cut", async () => {
    const answer = link.request({ type: "list" }, readEmpty);
    peer.send(helloFrame(), { kind: "error", channel: 1, json: { code: "not-found", message: "x".repeat(500_000) } });
    const error = await answer.then(
      () => expect.unreachable(),
      (reason: PlyboxError) => reason,
    );
    expect(error.message).toHaveLength(4096);
  });
});

describe("an abort", () => {
  test("before the request sends nothing", async () => {
    await expect(link.request({ type: "stop" }, readEmpty, { signal: AbortSignal.abort("no") })).rejects.toBe("no");
    await peer.next("hello");
    const next = link.request({ type: "list" }, readEmpty);
    const { channel, json } = await peer.next("open");
    expect(json).toEqual({ type: "list" });
    peer.send(helloFrame(), { kind: "ack", channel, json: {} });
    await next;
  });

  test("while waiting rejects with its reason, closes the channel and ignores the late answer", async () => {
    const controller = new AbortController();
    const answer = link.request({ type: "stop" }, readEmpty, { signal: controller.signal });
    await peer.next("hello");
    const { channel } = await peer.next("open");
    controller.abort("enough");
    await expect(answer).rejects.toBe("enough");
    expect(await peer.next("close")).toEqual({ kind: "close", channel });
    const next = link.request({ type: "list" }, readEmpty);
    const later = await peer.next("open");
    peer.send(helloFrame(), { kind: "ack", channel, json: {} }, { kind: "ack", channel: later.channel, json: {} });
    await next;
  });
});

test("a request beyond a frame is refused and the link goes on", async () => {
  const request = { type: "exec", shell: "x".repeat(2 ** 20) };
  await expect(link.request(request, readEmpty)).rejects.toMatchObject({ code: "input/too-large" });
  const next = link.request({ type: "list" }, readEmpty);
  await peer.next("hello");
  peer.send(helloFrame(), { kind: "ack", channel: (await peer.next("open")).channel, json: {} });
  await next;
});
