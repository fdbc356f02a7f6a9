import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CreateOptions, Sandbox } from "../../src/client/index.ts";
import type { Frame } from "../../src/wire/frame.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { buildHostileAgent, frameHead, rawJson, Script } from "../support/hostile-agent.ts";
import { NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { cgroupsWith, processesWith } from "../support/traces.ts";

const MIB = 1024 ** 2;

let daemon: TestDaemon;
/** One that waits for no agent for long. */
let impatient: TestDaemon;
/** Another's sandbox, with the real agent: nothing that is done to it here may be felt. */
let neighbour: Sandbox;

beforeAll(async () => {
  daemon = new TestDaemon();
  impatient = new TestDaemon();
  const agentProgram = buildHostileAgent(daemon.directory);
  await daemon.start({ agentProgram });
  await impatient.start({ agentProgram, agentPatienceMs: 500 });
  neighbour = await daemon.client.create({ layers: ["busybox"] });
});
afterAll(async () => {
  const names = (await daemon.client.list()).map(({ id }) => id);
  await Promise.all((await daemon.client.list()).map((sandbox) => sandbox.remove()));
  const remains = [remainsOf(daemon), remainsOf(impatient)];
  await daemon[Symbol.asyncDispose]();
  await impatient[Symbol.asyncDispose]();
  expect(names).toEqual([neighbour.id]);
  expect(remains).toEqual([NOTHING, NOTHING]);
});

const create = (script: Script, by: TestDaemon = daemon): Promise<Sandbox> =>
  by.client.create({ layers: ["busybox"], env: script.env });

const neighbourWorks = async (): Promise<void> =>
  expect(await neighbour.exec(["echo", "on"])).toMatchObject({ stdout: "on\n", exitCode: 0 });

const stateOf = async ({ id }: Sandbox) => (await daemon.client.get(id)).view.state;

/** The first channel of a connection. */
const CHANNEL = 1;
const ack = (json: object): Frame => ({ kind: "ack", channel: CHANNEL, json: { ...json } });
const started = ack({ pid: 7 });
const output = (offset: number, bytes: number): Frame => ({
  ...{ kind: "data", channel: CHANNEL, stream: 1, offset },
  bytes: Buffer.alloc(bytes, "x"),
});
const agentHello = (changes: object): Frame => ({
  ...{ kind: "hello", channel: 0 },
  json: { generation: 1, role: "agent", version: "0", sandbox: "", incarnation: 1, capabilities: [], ...changes },
});

/** What an agent does when it is asked for a command, and what it is accused of. */
const MISCONDUCT: Record<string, { readonly does: (script: Script) => Script; readonly what: RegExp }> = {
  "lies about a length": { does: (it) => it.send(frameHead(2 ** 31, 4, CHANNEL)), what: /a frame of 2147483648 bytes/ },
  "sends a frame of no length": { does: (it) => it.send(frameHead(0, 4, CHANNEL)), what: /a frame of 0 bytes/ },
  "sends an unknown kind": { does: (it) => it.send(frameHead(5, 77, CHANNEL)), what: /no frame kind 77/ },
  "sends noise": { does: (it) => it.send(Buffer.alloc(4096, 0xa5)), what: /a frame of/ },
  "answers on a channel that was never opened": {
    does: (it) => it.send({ ...started, channel: 99 }),
    what: /channel 99, which was never opened/,
  },
  "opens a channel itself": {
    does: (it) => it.send({ kind: "open", channel: CHANNEL, json: { type: "exec" } }),
    what: /open is out of place/,
  },
  "says hello again": { does: (it) => it.hello(), what: /hello is out of place/ },
  "sends output before its ack": { does: (it) => it.send(output(0, 10)), what: /data is out of place/ },
  "acknowledges twice": { does: (it) => it.send(started, started), what: /ack is out of place/ },
  "sends more than its credit": {
    does: (it) =>
      it
        .send(started, frameHead(5 + 9 + 262_145, 4, CHANNEL), Buffer.of(1, ...Array(8).fill(0)))
        .repeat(262_145, Buffer.from("x")),
    what: /more data than credit/,
  },
  "goes back in its output": { does: (it) => it.send(started, output(0, 10), output(5, 10)), what: /goes on at 5/ },
  "leaves a gap in its output": { does: (it) => it.send(started, output(10, 10)), what: /goes on at 10/ },
  "writes to stdin": { does: (it) => it.send(started, { ...output(0, 1), stream: 0 } as Frame), what: /stream 0/ },
  "writes behind the end of a stream": {
    does: (it) => it.send(started, { kind: "end", channel: CHANNEL, stream: 1, offset: 0 }, output(0, 1)),
    what: /nothing may come on stream 1/,
  },
  "loses bytes of a command that waits for its reader": {
    does: (it) => it.send(started, output(0, 1), { kind: "lost", channel: CHANNEL, stream: 1, from: 1, to: 9 }),
    what: /lost bytes after its beginning/,
  },
  "gives more credit than there is": {
    does: (it) => it.send(started, { kind: "credit", channel: CHANNEL, bytes: 2 ** 32 - 1 }),
    what: /the credit is more than/,
  },
  "reports another command's end": {
    does: (it) => it.send(started, { kind: "exit", channel: CHANNEL, json: report("ex_0000000000000000000000000a") }),
    what: /exit of ex_/,
  },
  "reports what is no end": {
    does: (it) => it.send(started, { kind: "exit", channel: CHANNEL, json: { code: 0 } }),
    what: /exit\.exec is not/,
  },
  "sends a tree of JSON, deeper than a stack": {
    does: (it) =>
      it
        .send(frameHead(5 + 1_000_000, 3, CHANNEL))
        .repeat(500_000, Buffer.from("["))
        .repeat(500_000, Buffer.from("]")),
    what: /it is no object/,
  },
  "sends a list of a third of a million items": {
    does: (it) =>
      it
        .send(frameHead(5 + 1_000_008, 3, CHANNEL), Buffer.from('{"pid":['))
        .repeat(499_999, Buffer.from("0,"))
        .send(Buffer.from("0}")),
    what: /it is no JSON/,
  },
  "names a prototype": {
    does: (it) => it.send(rawJson(3, CHANNEL, '{"pid":7,"__proto__":{"isAdmin":true}}')),
    what: /unknown fields/,
  },
  "sends text that is not UTF-8": {
    does: (it) => it.send(frameHead(5 + 4, 3, CHANNEL), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
    what: /it is no JSON/,
  },
  "floods with frames that carry nothing": {
    does: (it) => it.send(started).forever(output(0, 0)),
    what: /data frames come on and on that say nothing/,
  },
  "floods with credit of nothing": {
    does: (it) => it.send(started).forever({ kind: "credit", channel: CHANNEL, bytes: 0 }),
    what: /credit frames come on and on/,
  },
  "floods a channel that is over": {
    does: (it) =>
      it.send({ kind: "error", channel: CHANNEL, json: { code: "not-found", message: "" } }).forever(output(0, 4096)),
    what: /data frames come on and on/,
  },
};

function report(exec: string) {
  return {
    ...{ exec, code: 0, signal: null, limit: null, wallMs: 1, userMs: 0, systemMs: 0 },
    ...{ peakRssBytes: 0, stdoutBytes: 0, stderrBytes: 0 },
  };
}

describe("an agent that", () => {
  it.each(Object.entries(MISCONDUCT))("%s is cut off, and its sandbox alone has failed", async (_, { does, what }) => {
    const sandbox = await create(does(new Script().hello().await("open")));
    const refused = await sandbox.exec(["true"]).then(
      () => expect.unreachable(),
      (error: { code: string }) => error.code,
    );
    expect(["agent/protocol", "exec/program-not-found"]).toContain(refused);
    await expect.poll(() => stateOf(sandbox)).toMatchObject({ kind: "failed", reason: { type: "agent-misbehaved" } });
    expect(await stateOf(sandbox)).toMatchObject({ reason: { message: expect.stringMatching(what) } });
    await expect.poll(() => [...processesWith(sandbox.id), ...cgroupsWith(sandbox.id)]).toEqual([]);
    await expect(sandbox.exec(["true"])).rejects.toMatchObject({ code: "sandbox/wrong-state" });
    await neighbourWorks();
    await sandbox.remove();
  });
});

/** What an agent does in hello's place. */
const REFUSED: Record<string, (script: Script) => Script> = {
  "is another sandbox's": (it) => it.send(agentHello({ sandbox: "sb_00000000000000000000000000" })),
  "is of another incarnation": (it) => it.send(agentHello({ incarnation: 2 })),
  "says that it is a launcher": (it) => it.send(agentHello({ role: "launcher" })),
  "speaks before its hello": (it) => it.send(started),
  "lists capabilities without end": (it) => it.send(agentHello({ capabilities: Array(1000).fill("exec") })),
  "sends noise": (it) => it.send(Buffer.alloc(64, 0xff)),
};

describe("an agent that comes up and", () => {
  it.each(Object.entries(REFUSED))("%s is no sandbox, and nothing of it is left", async (_, does) => {
    await expect(create(does(new Script()))).rejects.toMatchObject({ code: "agent/protocol" });
    expect(remainsOf(daemon).sockets).toEqual([`${neighbour.id}.sock`]);
    expect(remainsOf(daemon).cgroups.every((path) => path.includes(neighbour.id))).toBe(true);
    await neighbourWorks();
  });

  it("is silent, stops in the middle of its hello, hangs up or ends, is given up", async () => {
    const half = encodeFrame(agentHello({})).subarray(0, 30);
    const scripts = [new Script(), new Script().send(half), new Script().hangUp(), new Script().end()];
    const creates = scripts.map((script) => create(script, impatient).catch((error: { code: string }) => error.code));
    expect(await Promise.all(creates)).toEqual(Array(scripts.length).fill("agent/unreachable"));
    await neighbourWorks();
  });
});

describe("commands of an agent that misbehaves", () => {
  it("are told why they are heard of no more, also where it misbehaved on another connection", async () => {
    // A command's ack where a file's is asked for.
    const sandbox = await create(new Script().hello().await("open").send(started));
    const command = await sandbox.spawn(["sleep", "600"]);
    const heard = (async () => {
      for await (const event of command) void event;
    })();
    const ended = expect(heard).rejects.toMatchObject({ code: "agent/protocol" });
    await expect(sandbox.files.stat("/")).rejects.toMatchObject({ code: "agent/protocol" });
    await ended;
    expect(await stateOf(sandbox)).toMatchObject({ kind: "failed", reason: { type: "agent-misbehaved" } });
    await sandbox.remove();
  });
});

describe.concurrent("an agent that is silent", () => {
  /** A sandbox whose agent says hello and nothing more; on a machine that stands still, hello may come too late. */
  async function createSilent(spec: CreateOptions = {}): Promise<Sandbox> {
    for (;;) {
      try {
        return await impatient.client.create({ layers: ["busybox"], env: new Script().hello().env, ...spec });
      } catch (error) {
        expect(error).toMatchObject({ code: "agent/unreachable" });
      }
    }
  }

  it("keeps nobody waiting who asks for what it could answer at once, and its sandbox can be ended", async () => {
    const sandbox = await createSilent();
    await expect(sandbox.processes()).rejects.toMatchObject({ code: "agent/unreachable" });
    expect((await sandbox.inspect()).state).toMatchObject({ kind: "running" });
    expect(await sandbox.stop()).toMatchObject({ state: { kind: "stopped" } });
    await sandbox.remove();
  });

  it("does not outlive its idle time by saying nothing of its commands", async () => {
    const { id } = await createSilent({ idleMs: 200, idleCountsCommands: true });
    await expect.poll(() => processesWith(id)).toEqual([]);
  });
});

it("fifty of them at once hold nothing of the daemon, and a neighbour has its turn", async () => {
  const before = process.memoryUsage.rss();
  const flood = new Script().hello().await("open").send(started).forever(output(0, 1));
  const sandboxes = await Promise.all(Array.from({ length: 50 }, () => create(flood)));
  const ends = Promise.allSettled(sandboxes.map((sandbox) => sandbox.exec(["true"])));
  for (let i = 0; i < 20; i++) await neighbourWorks();
  await ends;
  for (const sandbox of sandboxes) expect(await stateOf(sandbox)).toMatchObject({ kind: "failed" });
  await Promise.all(sandboxes.map((sandbox) => sandbox.remove()));
  expect(process.memoryUsage.rss() - before).toBeLessThan(128 * MIB);
  await neighbourWorks();
});
