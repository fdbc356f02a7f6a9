import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ScriptedSession } from "../../test/support/scripted-session.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import { eventStream, offsetsFromEventId } from "./event-stream.ts";
import type { StreamTurns } from "./right-of-way.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Everything that is ready has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function streamOf(session: ScriptedSession, turns: StreamTurns = () => undefined) {
  const release = vi.fn();
  const onUnknownError = vi.fn(() => new PlyboxError("internal", "hidden"));
  const { exec, pid } = session;
  const response = eventStream(session[Symbol.asyncIterator](), {
    started: { exec, pid },
    from: { stdout: 0, stderr: 0 },
    turns,
    keepAliveMs: 15_000,
    onUnknownError,
    release,
  });
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error("a stream without a body");
  const read = async (): Promise<string | undefined> => {
    const { value } = await reader.read();
    return value === undefined ? undefined : Buffer.from(value).toString();
  };
  return { read, reader, release, onUnknownError };
}

describe("an event stream", () => {
  it("takes the next event only when the reader has taken the one before", async () => {
    const session = new ScriptedSession();
    for (let at = 0; at < 100; at++) session.output("x", "stdout", at);
    const { read } = streamOf(session);
    await settled();
    expect(session.taken).toBe(0);
    await read(); // started
    await read();
    await settled();
    expect(session.taken).toBe(1);
    await read();
    await settled();
    expect(session.taken).toBe(2);
  });

  it("sends an event when it is its turn", async () => {
    const turn = deferred();
    const { read } = streamOf(new ScriptedSession().output("x"), () => turn.promise);
    await read(); // started
    let isSent = false;
    const sent = read().then(() => {
      isSent = true;
    });
    await settled();
    expect(isSent).toBe(false);
    turn.resolve();
    await sent;
  });

  it("numbers each event with the offsets after it", async () => {
    const session = new ScriptedSession().output("abc").output("de", "stderr");
    session.say({ kind: "lost", stream: "stdout", from: 3, to: 10 }).say({ kind: "end", stream: "stdout", offset: 10 });
    const { read } = streamOf(session);
    expect(await read()).toBe(`event: started\nid: 0.0\ndata: {"exec":"${session.exec}","pid":7}\n\n`);
    expect(await read()).toBe('event: output\nid: 3.0\ndata: {"stream":"stdout","offset":0,"base64":"YWJj"}\n\n');
    expect(await read()).toBe('event: output\nid: 3.2\ndata: {"stream":"stderr","offset":0,"base64":"ZGU="}\n\n');
    expect(await read()).toBe('event: lost\nid: 10.2\ndata: {"stream":"stdout","from":3,"to":10}\n\n');
    expect(await read()).toBe('event: end\nid: 10.2\ndata: {"stream":"stdout","offset":10}\n\n');
  });

  it("ends after exit and lets go of the session once", async () => {
    const { read, release, reader } = streamOf(new ScriptedSession().exit());
    await read();
    expect(await read()).toContain("event: exit\n");
    expect(await read()).toBeUndefined();
    await reader.cancel();
    expect(release).toHaveBeenCalledOnce();
  });

  it("lets go of the session when the reader goes away", async () => {
    const session = new ScriptedSession();
    const { read, reader, release } = streamOf(session);
    await read();
    const waiting = read();
    await reader.cancel();
    expect(await waiting).toBeUndefined();
    expect(release).toHaveBeenCalledOnce();
    session.output("late"); // Nobody is there; it must not throw.
    await settled();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("tells an error of ours, and hides any other", async () => {
    const known = streamOf(
      new ScriptedSession().fail(new PlyboxError("agent/unreachable", "gone", { errno: "EPIPE" })),
    );
    await known.read();
    expect(await known.read()).toBe(
      'event: error\nid: 0.0\ndata: {"code":"agent/unreachable","message":"gone","errno":"EPIPE"}\n\n',
    );
    expect(await known.read()).toBeUndefined();
    const unknown = streamOf(new ScriptedSession().fail(new Error("the secret path /srv/x")));
    await unknown.read();
    expect(await unknown.read()).toContain('{"code":"internal","message":"hidden"}');
    expect(unknown.onUnknownError).toHaveBeenCalledOnce();
  });

  it("says that it is still there while nothing happens, and only to a reader that waits", async () => {
    const session = new ScriptedSession();
    const { read } = streamOf(session);
    await read();
    const waiting = read();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await waiting).toBe(": still here\n\n");
    await vi.advanceTimersByTimeAsync(60_000);
    session.output("x");
    expect(await read()).toBe(": still here\n\n");
    expect(await read()).toContain("event: output\n");
  });
});

describe("an event id", () => {
  it("gives the offsets to go on from", () => {
    expect(offsetsFromEventId("12.345")).toEqual({ stdout: 12, stderr: 345 });
  });

  it.each([undefined, "", "12", "1.2.3", "-1.0", "x.y", "1e3.0", `${"9".repeat(16)}.0`])("%s is not one", (id) => {
    expect(offsetsFromEventId(id)).toBeUndefined();
  });
});
