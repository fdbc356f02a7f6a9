import { expect } from "vitest";
import { newExecId, newSandboxId } from "../../../src/model/ids.ts";
import type { Frame } from "../../../src/wire/frame.ts";
import { encodeFrame } from "../../../src/wire/frame.ts";
import type { FrameSocket } from "../../support/frame-socket.ts";
import type { AgentHarness, AgentTests } from "./harness.ts";

const open = (json: object, channel = 1): Frame => ({ kind: "open", channel, json: { ...json } });

/** Expects that the agent says what is wrong on channel 0 and hangs up, and that it still serves others. */
async function expectCutOff(agent: AgentHarness, socket: FrameSocket, code?: string): Promise<void> {
  const frames = await socket.rest();
  expect(frames.at(-1)).toMatchObject({ kind: "error", channel: 0, ...(code !== undefined && { json: { code } }) });
  expect((await agent.run(["true"])).report.code).toBe(0);
}

/** A test for each of what a host may never send after hello. */
function violations(cases: Readonly<Record<string, readonly Frame[] | Uint8Array>>): AgentTests {
  return Object.fromEntries(
    Object.entries(cases).map(([what, sent]) => [
      `hangs up on ${what}, and goes on`,
      async (agent: AgentHarness) => {
        const socket = await agent.greeted();
        if (sent instanceof Uint8Array) socket.sendRaw(sent);
        else socket.send(...sent);
        await expectCutOff(agent, socket);
      },
    ]),
  );
}

const cat = open({ type: "exec", exec: newExecId(), argv: ["cat"], stdin: true });
const input = (offset: number, size: number): Frame => ({
  kind: "data",
  channel: 1,
  stream: 0,
  offset,
  bytes: Buffer.alloc(size),
});

/** A test for each request that is refused on its channel and changes nothing. */
function refusals(cases: Readonly<Record<string, object>>): AgentTests {
  return Object.fromEntries(
    Object.entries(cases).map(([what, request]) => [
      `refuses ${what}, and goes on`,
      async (agent: AgentHarness) => {
        const socket = await agent.greeted();
        const exec = newExecId();
        socket.send(open({ type: "exec", exec, argv: ["true"], ...request }));
        const { channel, json } = await socket.next("error");
        expect(channel).toBe(1);
        expect(json.code).toMatch(/^[a-z-]+$/);
        expect(json.message).not.toBe("");
        socket.send(open({ type: "list" }, 2));
        expect((await socket.next("ack")).json).toEqual({ execs: [] });
      },
    ]),
  );
}

export const protocolTests: AgentTests = {
  "answers hello, and requests that came with it": async (agent) => {
    const socket = await agent.frames();
    socket.send(agent.hello(), open({ type: "list" }));
    const { json } = await socket.next("hello");
    const { sandbox, incarnation } = agent.subject;
    expect(json).toMatchObject({ generation: 1, role: "agent", sandbox, incarnation });
    expect(await socket.next("ack")).toEqual({ kind: "ack", channel: 1, json: { execs: [] } });
  },

  "understands frames in any pieces": async (agent) => {
    const socket = await agent.frames();
    const bytes = Buffer.concat([agent.hello(), open({ type: "list" }), open({ type: "list" }, 2)].map(encodeFrame));
    // The hello comes byte by byte, each in a write of its own; the answer shows that it is whole.
    const cut = encodeFrame(agent.hello()).length;
    for (let at = 0; at < cut; at++) await socket.flush(bytes.subarray(at, at + 1));
    await socket.next("hello");
    await socket.flush(bytes.subarray(cut, cut + 20));
    socket.sendRaw(bytes.subarray(cut + 20));
    expect((await socket.next("ack")).channel).toBe(1);
    expect((await socket.next("ack")).channel).toBe(2);
  },

  "answers a newer generation with its own": async (agent) => {
    const socket = await agent.frames();
    socket.send(agent.hello({ generation: 9 }));
    expect((await socket.next("hello")).json.generation).toBe(1);
  },

  "refuses a generation that nobody speaks": async (agent) => {
    const socket = await agent.frames();
    socket.send(agent.hello({ generation: 0 }));
    await expectCutOff(agent, socket, "unsupported-generation");
  },

  "refuses to be taken for another sandbox or incarnation": async (agent) => {
    for (const changes of [{ sandbox: newSandboxId() }, { incarnation: 2 }]) {
      const socket = await agent.frames();
      socket.send(agent.hello(changes), open({ type: "stop" }));
      await expectCutOff(agent, socket, "wrong-sandbox");
    }
  },

  "serves nothing before hello": async (agent) => {
    const socket = await agent.frames();
    socket.send(open({ type: "stop" }));
    await expectCutOff(agent, socket);
  },

  "forgets a connection that ends inside a frame": async (agent) => {
    for (const sent of [[], [1], [255, 0, 0, 0, 2, 1, 0, 0, 0, 0x7b]]) {
      const socket = await agent.greeted();
      socket.sendRaw(Uint8Array.from(sent));
      socket.hangUp();
      await socket.closed();
    }
    expect((await agent.run(["true"])).report.code).toBe(0);
  },

  "does not wait for a connection that says nothing": async (agent) => {
    const silent = await agent.frames();
    silent.sendRaw(Uint8Array.of(255, 255, 0, 0));
    expect((await agent.run(["true"])).report.code).toBe(0);
  },

  "keeps the rest alive when a reader takes nothing from its connection": async (agent) => {
    const socket = await agent.greeted();
    socket.pause();
    const lists = Array.from({ length: 20_000 }, (_, i) => open({ type: "list" }, i + 1));
    socket.send(...lists);
    expect((await agent.run(["true"])).report.code).toBe(0);
  },

  "ignores frames for a channel that has ended": async (agent) => {
    const socket = await agent.greeted();
    socket.send(open({ type: "exec", exec: newExecId(), argv: ["true"], stdin: true }));
    for (let frame = await socket.any(); frame.kind !== "exit"; frame = await socket.any());
    socket.send(
      { kind: "data", channel: 1, stream: 0, offset: 0, bytes: Buffer.from("late") },
      { kind: "end", channel: 1, stream: 0, offset: 4 },
      { kind: "credit", channel: 1, bytes: 100 },
      { kind: "close", channel: 1 },
      open({ type: "usage" }, 1),
    );
    expect((await socket.next("ack")).channel).toBe(1);
  },

  ...violations({
    "a second hello": [{ kind: "hello", channel: 0, json: { generation: 1 } }],
    "an open on channel 0": [open({ type: "list" }, 0)],
    "an open on a channel that is open": [cat, open({ type: "list" })],
    "a frame for a channel that was never opened": [{ kind: "credit", channel: 5, bytes: 1 }],
    "a kind that only agents send": [cat, { kind: "exit", channel: 1, json: {} }],
    "an unknown kind": Uint8Array.of(5, 0, 0, 0, 200, 1, 0, 0, 0),
    "a length below the header": Uint8Array.of(4, 0, 0, 0),
    "a length above 1 MiB": Uint8Array.of(1, 0, 16, 0),
    "a payload that is no JSON": Uint8Array.of(7, 0, 0, 0, 2, 1, 0, 0, 0, 0x7b, 0x7b),
    "input on an output stream": [cat, { kind: "data", channel: 1, stream: 1, offset: 0, bytes: Buffer.from("x") }],
    "more input than its credit": [cat, input(0, 262_144), input(262_144, 262_144), input(524_288, 524_288)],
    "more credit than 2³¹−1": [cat, { kind: "credit", channel: 1, bytes: 2 ** 31 }],
  }),

  ...refusals({
    "a request of an unknown type": { type: "fly" },
    "an unknown field": { extra: 1 },
    "a field of another type": { argv: "true" },
    "an exec without a program": { argv: [] },
    "an exec with both argv and shell": { shell: "true" },
    "a program with a NUL": { argv: ["true", "a\u0000b"] },
    "an id that is none": { exec: "../../etc" },
    "a relative directory": { cwd: "tmp" },
    "an environment name that is none": { env: { "A=B": "c" } },
    "a wall limit of 0": { wallMs: 0 },
    "a limit that is no integer": { outputBytes: 1.5 },
    "a limit beyond what is exact": { wallMs: 2 ** 53 },
    "a ring out of range": { ringBytes: 4095 },
    "a terminal without columns": { pty: { columns: 0, rows: 24 } },
    "an unknown field of the terminal": { pty: { columns: 80, rows: 24, depth: 3 } },
  }),
};
