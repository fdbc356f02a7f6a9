import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ScriptedPeer } from "../../test/support/scripted-peer.ts";
import { deferred } from "../base/deferred.ts";
import type { ExecutionProgress, ExecutionReport, ExecutionRequest, ExecutionResult } from "../model/execution.ts";
import type { ExecuteOptions } from "./execute.ts";
import { execute } from "./execute.ts";
import { INITIAL_CREDIT } from "./flow-control.ts";
import type { Frame, JsonObject } from "./frame.ts";

const KIB_64 = 65_536;
const GOLDEN = join(import.meta.dirname, "../../test/golden/frames/frames.json");
const REQUEST: ExecutionRequest = { source: "true", sourceName: "main.sh", run: ["sh", "main.sh"] };
const REPORT: ExecutionReport = {
  result: "success",
  code: 0,
  signal: null,
  limit: null,
  memoryEvidence: null,
  wallMs: 1.5,
  cpuMs: 1,
  compileMs: null,
  peakBytes: 4096,
  stdoutBytes: 0,
  stderrBytes: 0,
  compileOutput: "",
  compileOutputLost: 0,
};
const SAMPLE: ExecutionProgress = {
  phase: "run",
  wallMs: 100.5,
  cpuMs: 90,
  residentBytes: 4096,
  processes: 1,
  stdoutBytes: 0,
  stderrBytes: 0,
};

let peer: ScriptedPeer;
beforeEach(async () => {
  peer = await ScriptedPeer.start();
});
afterEach(() => peer[Symbol.asyncDispose]());

interface Begun {
  readonly result: Promise<ExecutionResult>;
  readonly channel: number;
  /** The request as it came. */
  readonly json: JsonObject;
}

/** What the agent has accepted; its answer is the test's. */
async function begin(request = REQUEST, options?: ExecuteOptions): Promise<Begun> {
  const result = execute(peer.stream, request, options);
  // Expectations come later.
  result.catch(() => {});
  expect((await peer.next("hello")).json).toEqual({ generation: 1, role: "host", sandbox: "", incarnation: 0 });
  const { channel, json } = await peer.next("open");
  const hello = { generation: 1, role: "agent", version: "0.1.0", sandbox: "", incarnation: 0, capabilities: [] };
  peer.send({ kind: "hello", channel: 0, json: hello }, { kind: "ack", channel, json: {} });
  return { result, channel, json };
}

const data = (channel: number, stream: number, offset: number, bytes: Uint8Array | string): Frame => ({
  kind: "data",
  channel,
  stream,
  offset,
  bytes: Buffer.from(bytes),
});
const lost = (channel: number, stream: number, from: number, to: number): Frame => ({
  kind: "lost",
  channel,
  stream,
  from,
  to,
});
const progress = (channel: number, sample: object = SAMPLE): Frame => ({
  kind: "progress",
  channel,
  json: { ...sample },
});

/** The ends of both streams, and the verdict. */
function over(channel: number, report: Partial<ExecutionReport> = {}): Frame[] {
  const json = { ...REPORT, ...report };
  return [
    { kind: "end", channel, stream: 1, offset: json.stdoutBytes },
    { kind: "end", channel, stream: 2, offset: json.stderrBytes },
    { kind: "exit", channel, json },
  ];
}

describe("a request", () => {
  it("is sent as the golden frames have it", async () => {
    const cases = JSON.parse(readFileSync(GOLDEN, "utf8")) as { file: string; frames?: { json: JsonObject }[] }[];
    const golden = cases.find(({ file }) => file === "open-execute.bin")?.frames?.[0]?.json;
    const { type, ...rest } = golden as unknown as ExecutionRequest & { type: string };
    expect(type).toBe("execute");
    const { json } = await begin({ ...rest, stdin: Buffer.from([0, 1, 2]) });
    expect(json).toEqual(golden);
  });

  it.each([
    ["text", "grüße", "grüße"],
    ["text with a NUL", "a\0", { base64: "YQA=" }],
    ["bytes", Buffer.from([0, 1, 255]), { base64: "AAH/" }],
  ])("takes %s for the source", async (_what, source, sent) => {
    expect((await begin({ ...REQUEST, source })).json).toEqual({ ...REQUEST, type: "execute", source: sent });
  });

  it.each([
    ["bad-request", "input/invalid"],
    ["busy", "execution/busy"],
    ["not-found", "exec/program-not-found"],
    ["not-executable", "exec/not-executable"],
    ["no-resources", "exec/refused"],
  ])("that is refused for %s is %s", async (code, known) => {
    const { result, channel } = await begin();
    peer.send({ kind: "error", channel, json: { code, message: "no", field: "run" } });
    await expect(result).rejects.toMatchObject({ code: known, field: "run" });
    await peer.rest();
  });

  it("that does not fit into a frame is refused here", async () => {
    const result = execute(peer.stream, { ...REQUEST, source: "x".repeat(2 ** 20) });
    await expect(result).rejects.toMatchObject({ code: "input/too-large" });
    await peer.rest();
  });

  it("whose output would be too much to keep is refused here", async () => {
    const result = execute(peer.stream, { ...REQUEST, outputBytes: 67_108_865 });
    await expect(result).rejects.toMatchObject({ code: "input/invalid", field: "outputBytes" });
  });
});

describe("a verdict", () => {
  it("comes with what was written, and ends the connection", async () => {
    const { result, channel } = await begin();
    peer.send(data(channel, 1, 0, "he"), data(channel, 2, 0, "oops"), data(channel, 1, 2, "llo"));
    peer.send(...over(channel, { stdoutBytes: 5, stderrBytes: 4 }));
    expect(await result).toEqual({
      ...REPORT,
      stdoutBytes: 5,
      stderrBytes: 4,
      stdout: { bytes: Buffer.from("hello"), lost: [] },
      stderr: { bytes: Buffer.from("oops"), lost: [] },
    });
    await peer.rest();
  });

  it("names what was overwritten, one after the other as one", async () => {
    const { result, channel } = await begin();
    peer.send(lost(channel, 1, 0, 2), lost(channel, 1, 2, 10), data(channel, 1, 10, "ab"), lost(channel, 1, 12, 20));
    peer.send(...over(channel, { stdoutBytes: 20 }));
    const { stdout } = await result;
    expect(Buffer.from(stdout.bytes).toString()).toBe("ab");
    expect(stdout.lost).toEqual([
      { from: 0, to: 10 },
      { from: 12, to: 20 },
    ]);
  });

  it.each<[string, Partial<ExecutionReport>]>([
    ["a success that failed", { code: 1 }],
    ["neither code nor signal", { code: null }],
    ["a timeout by memory", { result: "timeout", limit: "memory" }],
    ["memory without evidence", { result: "memory_exceeded", limit: "memory" }],
    ["evidence of something else", { memoryEvidence: "peak" }],
    ["a runtime error by a limit", { result: "runtime_error", code: 1, limit: "cpu" }],
    ["more output than came", { stdoutBytes: 1 }],
  ])("with %s is the agent's mistake", async (_what, report) => {
    const { result, channel } = await begin();
    const [stdout, stderr] = over(channel) as [Frame, Frame];
    peer.send(stdout, stderr, { kind: "exit", channel, json: { ...REPORT, ...report } });
    await expect(result).rejects.toMatchObject({ code: "agent/protocol" });
  });
});

describe("output", () => {
  it("is granted credit for as it comes", async () => {
    const { result, channel } = await begin();
    let offset = 0;
    for (; offset < 2 * INITIAL_CREDIT; offset += KIB_64) {
      peer.send(data(channel, 1, offset, Buffer.alloc(KIB_64, offset / KIB_64)));
      expect(await peer.next("credit")).toMatchObject({ channel, bytes: KIB_64 });
    }
    peer.send(...over(channel, { stdoutBytes: offset }));
    const { bytes } = (await result).stdout;
    expect(bytes.length).toBe(offset);
    expect(bytes.every((byte, i) => byte === Math.floor(i / KIB_64))).toBe(true);
  });

  it("is handed on piece by piece to who asks for it, and then not kept", async () => {
    const pieces: unknown[] = [];
    const { result, channel } = await begin(REQUEST, { onOutput: (piece) => pieces.push(piece) });
    peer.send(data(channel, 2, 0, "a"), lost(channel, 2, 1, 5), data(channel, 1, 0, ""), data(channel, 2, 5, "b"));
    peer.send(...over(channel, { stderrBytes: 6 }));
    expect((await result).stderr).toEqual({ bytes: Buffer.alloc(0), lost: [] });
    expect(pieces).toEqual([
      { kind: "output", stream: "stderr", offset: 0, bytes: Buffer.from("a") },
      { kind: "lost", stream: "stderr", from: 1, to: 5 },
      { kind: "output", stream: "stderr", offset: 5, bytes: Buffer.from("b") },
    ]);
  });

  it.each<[string, (channel: number) => Frame[]]>([
    ["a gap", (channel) => [data(channel, 1, 1, "x")]],
    ["a loss behind a gap", (channel) => [lost(channel, 1, 1, 2)]],
    ["the stream of input", (channel) => [data(channel, 0, 0, "x")]],
    ["more than the credit", (channel) => [data(channel, 1, 0, Buffer.alloc(INITIAL_CREDIT + 1))]],
    ["more than the limit", (channel) => [data(channel, 1, 0, "x".repeat(60)), data(channel, 2, 0, "x".repeat(41))]],
    ["a loss beyond the limit", (channel) => [lost(channel, 1, 0, 101)]],
    ["bytes after the end", (channel) => [...over(channel).slice(0, 1), data(channel, 1, 0, "x")]],
    ["two ends", (channel) => [...over(channel).slice(0, 1), ...over(channel).slice(0, 1)]],
    ["a verdict before the ends", (channel) => over(channel).slice(1)],
    ["a second ack", (channel) => [{ kind: "ack", channel, json: {} }]],
    ["a sample without its fields", (channel) => [progress(channel, { phase: "run" })]],
  ])("with %s is the agent's mistake", async (_what, frames) => {
    const { result, channel } = await begin({ ...REQUEST, outputBytes: 100 });
    peer.send(...frames(channel));
    await expect(result).rejects.toMatchObject({ code: "agent/protocol" });
    await peer.rest();
  });

  it("that is lost again and again is the agent's mistake too", async () => {
    const { result, channel } = await begin();
    const pieces = Array.from({ length: 65_537 }, (_, i) => [
      lost(channel, 1, 2 * i, 2 * i + 1),
      data(channel, 1, 2 * i + 1, "x"),
    ]);
    for (const piece of pieces) peer.send(...piece);
    await expect(result).rejects.toMatchObject({ code: "agent/protocol" });
  });
});

it("samples of usage are told as they come", async () => {
  const samples: ExecutionProgress[] = [];
  const { result, channel } = await begin(REQUEST, { onProgress: (sample) => samples.push(sample) });
  peer.send(progress(channel), progress(channel, { ...SAMPLE, phase: "compile" }), ...over(channel));
  await result;
  expect(samples).toEqual([SAMPLE, { ...SAMPLE, phase: "compile" }]);
});

describe("stdin", () => {
  it("that is long goes in a stream, within the agent's credit", async () => {
    const stdin = Buffer.alloc(INITIAL_CREDIT + 5, "x");
    const { result, channel, json } = await begin({ ...REQUEST, stdin });
    expect(json).toEqual({ ...REQUEST, type: "execute", stdinStream: true });
    let offset = 0;
    for (; offset < INITIAL_CREDIT; offset += KIB_64)
      expect(await peer.next("data")).toMatchObject({ stream: 0, offset });
    peer.send({ kind: "credit", channel, bytes: 5 });
    expect((await peer.next("data")).bytes.length).toBe(5);
    expect(await peer.next("end")).toMatchObject({ stream: 0, offset: offset + 5 });
    peer.send(...over(channel));
    expect((await result).result).toBe("success");
  });

  it("that has no end is let go of with the program", async () => {
    const released = deferred();
    async function* endless() {
      try {
        for (;;) yield Buffer.alloc(KIB_64);
      } finally {
        released.resolve();
      }
    }
    const { result, channel } = await begin({ ...REQUEST, stdin: endless() });
    await peer.next("data");
    peer.send(...over(channel));
    await result;
    await released.promise;
  });
});

describe("an execution is given up", () => {
  it("by its signal, with the connection", async () => {
    const stop = new AbortController();
    const { result } = await begin(REQUEST, { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(result).rejects.toThrow("enough");
    await peer.rest();
  });

  it("by a signal that was aborted before, and nothing is asked for", async () => {
    const result = execute(peer.stream, REQUEST, { signal: AbortSignal.abort(new Error("enough")) });
    await expect(result).rejects.toThrow("enough");
    await expect(peer.rest()).resolves.toSatisfy((frames: Frame[]) => frames.every(({ kind }) => kind === "hello"));
  });

  it.each(["onProgress", "onOutput"] as const)("by an %s that throws", async (name) => {
    const told = () => {
      throw new Error("unheard of");
    };
    const { result, channel } = await begin(REQUEST, { [name]: told });
    peer.send(progress(channel), data(channel, 1, 0, "x"), data(channel, 1, 1, "y"));
    await expect(result).rejects.toThrow("unheard of");
    await peer.rest();
  });

  it("by a stdin that fails", async () => {
    const begun = deferred();
    async function* failing() {
      yield Buffer.from("x");
      await begun.promise;
      throw new Error("no more");
    }
    const { result } = await begin({ ...REQUEST, stdin: failing() });
    await peer.next("data");
    begun.resolve();
    await expect(result).rejects.toThrow("no more");
    await peer.rest();
  });

  it("by an agent that hangs up", async () => {
    const { result } = await begin();
    peer.hangUp();
    await expect(result).rejects.toMatchObject({ code: "agent/unreachable" });
  });
});
