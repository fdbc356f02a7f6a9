import { expect } from "vitest";
import type { PlyboxError } from "../../src/model/errors.ts";
import type { ExecEvent, ExecReport, ExecRequest, ExecSession } from "../../src/model/exec.ts";
import { newExecId, newSandboxId } from "../../src/model/ids.ts";
import { AgentLink } from "../../src/wire/agent-link.ts";
import type { Frame } from "../../src/wire/frame.ts";
import { ScriptedPeer } from "./scripted-peer.ts";

const sandbox = newSandboxId();
export const exec = newExecId();
export const KIB_64 = 65_536;
const hello: Frame = {
  kind: "hello",
  channel: 0,
  json: { generation: 1, role: "agent", version: "0.1.0", sandbox, incarnation: 1, capabilities: [] },
};
export const report: ExecReport = {
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

/** A link to an agent that sends what a test tells it to. */
export class ScriptedAgent implements AsyncDisposable {
  readonly peer: ScriptedPeer;
  readonly link: AgentLink;

  private constructor(peer: ScriptedPeer) {
    this.peer = peer;
    this.link = new AgentLink(peer.stream, sandbox, 1);
  }

  /** One that has said hello. */
  static async start(): Promise<ScriptedAgent> {
    const agent = new ScriptedAgent(await ScriptedPeer.start());
    await agent.peer.next("hello");
    agent.peer.send(hello);
    return agent;
  }

  /** Starts a command, which runs. */
  async exec(request: Partial<ExecRequest> = {}): Promise<StartedExec> {
    const pending = this.link.exec({ exec, command: ["cat"], ...request });
    const { channel } = await this.peer.next("open");
    this.peer.send({ kind: "ack", channel, json: { pid: 7 } });
    const session = await pending;
    return { session, channel, events: session[Symbol.asyncIterator]() };
  }

  /** Waits until the link has dealt with everything that was sent to it. */
  async settle(): Promise<void> {
    const answer = this.link.list();
    const { channel } = await this.peer.next("open");
    this.peer.send({ kind: "ack", channel, json: { execs: [] } });
    await answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.link.close();
    await this.peer[Symbol.asyncDispose]();
  }
}

export interface StartedExec {
  readonly session: ExecSession;
  readonly channel: number;
  readonly events: AsyncIterator<ExecEvent>;
}

export const output = (channel: number, offset: number, bytes: Uint8Array, stream = 1): Frame => ({
  ...{ kind: "data", channel, stream, offset, bytes },
});
export const exit = (channel: number): Frame => ({ kind: "exit", channel, json: { ...report } });

export const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (reason: PlyboxError) => reason,
  );

export async function readAll(events: AsyncIterator<ExecEvent>): Promise<ExecEvent[]> {
  const all: ExecEvent[] = [];
  for (let next = await events.next(); !next.done; next = await events.next()) all.push(next.value);
  return all;
}
