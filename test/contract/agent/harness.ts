import type { Socket } from "node:net";
import { expect } from "vitest";
import type { PlyboxError } from "../../../src/model/errors.ts";
import type { ExecEvent, ExecReport, ExecRequest, ExecSession, OutputStream } from "../../../src/model/exec.ts";
import type { ExecId, SandboxId } from "../../../src/model/ids.ts";
import { newExecId } from "../../../src/model/ids.ts";
import { AgentLink } from "../../../src/wire/agent-link.ts";
import type { Frame } from "../../../src/wire/frame.ts";
import { FrameSocket } from "../../support/frame-socket.ts";

/** An agent that runs, and how to reach it. */
export interface AgentSubject extends AsyncDisposable {
  readonly sandbox: SandboxId;
  readonly incarnation: number;
  /** The sandbox's own environment, that it was started with; not empty. */
  readonly environment: Readonly<Record<string, string>>;
  /** A new connection to it. */
  connect(): Promise<Socket>;
  /** Resolves with its exit code when it has ended. */
  exited(): Promise<number | null>;
}

export type AgentTests = Readonly<Record<string, (agent: AgentHarness) => Promise<void>>>;

/** All that a command put out, and how it ended. */
export interface Outcome {
  readonly report: ExecReport;
  readonly stdout: string;
  readonly stderr: string;
  /** Bytes `[from, to)` that the agent no longer had. */
  readonly lost: readonly { readonly stream: OutputStream; readonly from: number; readonly to: number }[];
}

/** What the tests do with an agent. */
export class AgentHarness implements AsyncDisposable {
  readonly subject: AgentSubject;
  readonly #open: Disposable[] = [];

  constructor(subject: AgentSubject) {
    this.subject = subject;
  }

  async link(): Promise<AgentLink> {
    const { sandbox, incarnation } = this.subject;
    const link = new AgentLink(await this.subject.connect(), sandbox, incarnation);
    this.#open.push(link);
    return link;
  }

  /** A connection on which nothing has been said. */
  async frames(): Promise<FrameSocket> {
    const socket = new FrameSocket(await this.subject.connect());
    this.#open.push(socket);
    return socket;
  }

  hello(changes: object = {}): Frame {
    const { sandbox, incarnation } = this.subject;
    return { kind: "hello", channel: 0, json: { generation: 1, role: "host", sandbox, incarnation, ...changes } };
  }

  /** A connection on which both have said hello. */
  async greeted(): Promise<FrameSocket> {
    const socket = await this.frames();
    socket.send(this.hello());
    await socket.next("hello");
    return socket;
  }

  /** Runs a command to its end over a connection of its own. */
  async run(command: ExecRequest["command"], request: Partial<ExecRequest> = {}): Promise<Outcome> {
    const link = await this.link();
    return collect(await link.exec({ exec: newExecId(), command, ...request }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#open) one[Symbol.dispose]();
    await this.subject[Symbol.asyncDispose]();
  }
}

export async function collect(events: AsyncIterable<ExecEvent>): Promise<Outcome> {
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const lost: { stream: OutputStream; from: number; to: number }[] = [];
  let report: ExecReport | undefined;
  for await (const event of events) {
    if (event.kind === "output") chunks[event.stream].push(event.bytes);
    else if (event.kind === "lost") lost.push({ stream: event.stream, from: event.from, to: event.to });
    else if (event.kind === "exit") report = event.report;
  }
  if (report === undefined) throw new Error("the session ended without exit");
  const stdout = Buffer.concat(chunks.stdout).toString("latin1");
  const stderr = Buffer.concat(chunks.stderr).toString("latin1");
  return { report, stdout, stderr, lost };
}

/** Reads events until stdout has this many bytes, and returns them. */
export async function readStdout(events: AsyncIterator<ExecEvent>, bytes: number): Promise<string> {
  let text = "";
  while (text.length < bytes) {
    const { value, done } = await events.next();
    if (done || value.kind === "exit") throw new Error(`the command ended after ${JSON.stringify(text)}`);
    if (value.kind === "output" && value.stream === "stdout") text += Buffer.from(value.bytes).toString("latin1");
  }
  return text;
}

/** Reads the first line of stdout, which is a process id that the command prints. */
export async function readPid(events: AsyncIterator<ExecEvent>): Promise<number> {
  let text = "";
  while (!text.includes("\n")) text += await readStdout(events, 1);
  expect(text).toMatch(/^\d+\r?\n$/);
  return Number.parseInt(text, 10);
}

export async function failureOf(promise: Promise<unknown>): Promise<PlyboxError> {
  return promise.then(
    () => expect.unreachable("it must fail"),
    (reason: PlyboxError) => reason,
  );
}

/** Asks the agent, as often as it takes, until it says that the command has ended. */
export async function ended(link: AgentLink, exec: ExecId): Promise<void> {
  for (;;) {
    const one = (await link.list()).find((summary) => summary.exec === exec);
    if (one === undefined || !one.running) return;
  }
}

/** Whether a process of the sandbox still lives; one that nobody has reaped counts as dead. */
export async function lives(agent: AgentHarness, pid: number): Promise<boolean> {
  const { stdout } = await agent.run(`grep -qs '^State:[^ZX]*$' /proc/${pid}/status && echo lives`);
  return stdout === "lives\n";
}

/** Asks until the process is dead: a signal that was sent need not have arrived. */
export async function died(agent: AgentHarness, pid: number): Promise<void> {
  while (await lives(agent, pid));
}

/** Reads a session that is not of interest to its end, so that it gives credit. */
export async function drain(session: ExecSession): Promise<void> {
  for await (const _ of session);
}
