import { Duplex, Writable } from "node:stream";
import type { PlyboxError } from "../../src/model/errors.ts";
import type { ExecEvent } from "../../src/model/exec.ts";
import type { ExecId, SandboxId } from "../../src/model/ids.ts";
import { AgentLink } from "../../src/wire/agent-link.ts";
import { execute } from "../../src/wire/execute.ts";
import { fileLines } from "../../src/wire/file-lines.ts";
import {
  readBytes,
  readChange,
  readFound,
  readListEnd,
  readListed,
  readOpened,
  readSearchEnd,
  readStat,
  readWritten,
} from "../../src/wire/file-messages.ts";
import { readLaunchAck, readSandboxExit } from "../../src/wire/launcher-messages.ts";
import { Link, unexpected } from "../../src/wire/link.ts";
import { readEmpty } from "../../src/wire/messages.ts";

/** The sandbox and the command that the golden frames speak of. */
const SANDBOX = "sb_01k6zq3v9nabcdefghjkmnpqrs" as SandboxId;
const INCARNATION = 3;
const EXEC = "ex_01k6zq3v9nabcdefghjkmnpqrs" as ExecId;

/** A transport that never waits: what the host writes is gone, what a peer would send is pushed. */
class Wire extends Duplex {
  sentBytes = 0;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.sentBytes += chunk.length;
    done();
  }
}

const sink = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() });

async function readAll(events: AsyncIterable<ExecEvent>): Promise<void> {
  for await (const _ of events);
}

const BUSY = { stdin: true } as const;
const NOWHERE = { stdout: 0, stderr: 0 };

/** Each kind of channel, with whoever stands behind it. */
const REQUESTS: Readonly<Record<string, (agent: AgentLink) => Promise<unknown>>> = {
  exec: async (agent) => await readAll(await agent.exec({ exec: EXEC, command: "cat", ...BUSY })),
  /** Its output is not read before everything has come. */
  "exec-unread": async (agent) => {
    const session = await agent.exec({ exec: EXEC, command: "cat", ...BUSY });
    void session.write(Buffer.alloc(300_000)).catch(() => {});
    await agent.ended;
    await readAll(session);
  },
  attach: async (agent) => await readAll(await agent.attach(EXEC, NOWHERE)),
  read: async (agent) => await readAll(await agent.read(EXEC, { from: NOWHERE, follow: false })),
  follow: async (agent) => await readAll(await agent.read(EXEC, { from: NOWHERE, follow: true })),
  wait: (agent) => agent.wait(EXEC),
  input: async (agent) => {
    const feed = await agent.input(EXEC);
    await feed.write(Buffer.alloc(300_000));
    await feed.end();
  },
  list: (agent) => agent.list(),
  signal: (agent) => agent.signal(EXEC, "SIGTERM", "all"),
  usage: (agent) => agent.usage(),
  ports: (agent) => agent.ports(),
  processes: (agent) => agent.processes(),
  dial: async (agent) => {
    const stream = await agent.dial({ port: 80 });
    stream.end(Buffer.alloc(100_000));
    await stream.forEach(() => {});
  },
  "dial-unread": async (agent) => {
    const stream = await agent.dial({ port: 80 });
    await agent.ended;
    await stream.forEach(() => {});
  },
  stat: (agent) => agent.file({ type: "file", op: "stat", path: "/a" }, readStat),
  download: async (agent) => {
    const readers = { ack: readOpened, report: readBytes };
    await (await agent.download({ type: "file", op: "read", path: "/a" }, readers)).pour(sink());
  },
  "download-unread": async (agent) => {
    const readers = { ack: readOpened, report: readBytes };
    const stream = await agent.download({ type: "file", op: "read", path: "/a" }, readers);
    await agent.ended;
    await stream.forEach(() => {});
  },
  lines: async (agent) => {
    const readers = { ack: readEmpty, report: readListEnd };
    const stream = await agent.download({ type: "file", op: "list", path: "/" }, readers);
    for await (const _ of fileLines(stream, readListed));
  },
  found: async (agent) => {
    const readers = { ack: readEmpty, report: readSearchEnd };
    const stream = await agent.download({ type: "file", op: "search", path: "/" }, readers);
    for await (const _ of fileLines(stream, readFound));
  },
  watch: async (agent) => {
    const readers = { ack: readEmpty, report: readEmpty };
    const stream = await agent.download({ type: "file", op: "watch", path: "/" }, readers);
    for await (const _ of fileLines(stream, readChange));
  },
  upload: async (agent) => {
    const upload = await agent.upload({ type: "file", op: "write", path: "/a" }, { report: readWritten });
    upload.end(Buffer.alloc(100_000));
    await upload.report;
  },
};

interface Opened {
  readonly ended: Promise<PlyboxError | undefined>;
  readonly outcome: Promise<unknown>;
}

function overAgent(wire: Wire, request: (agent: AgentLink) => Promise<unknown>): Opened {
  const agent = new AgentLink(wire, SANDBOX, INCARNATION);
  return { ended: agent.ended, outcome: request(agent) };
}

function overLauncher(wire: Wire): Opened {
  const link = new Link({ input: wire, output: wire, peer: "launcher", sandbox: "", incarnation: 0 });
  const outcome = new Promise((resolve, reject) => {
    const receive: Parameters<Link["open"]>[1]["receive"] = (frame) => {
      if (frame.kind === "ack") readLaunchAck(frame.json, "ack");
      else if (frame.kind === "exit") resolve(readSandboxExit(frame.json, "exit"));
      else throw unexpected(frame);
    };
    link.open({ type: "launch" }, { receive, fail: reject });
  });
  return { ended: link.ended, outcome };
}

function overSingle(wire: Wire): Opened {
  const outcome = execute(wire, { source: "", sourceName: "a", run: ["./a"], stdin: "x".repeat(100_000) });
  return { ended: Promise.resolve(undefined), outcome };
}

/** What can be made to listen to a hostile peer. */
export const LISTENERS: Readonly<Record<string, (wire: Wire) => Opened>> = {
  ...Object.fromEntries(Object.entries(REQUESTS).map(([name, ask]) => [name, (wire: Wire) => overAgent(wire, ask)])),
  launcher: overLauncher,
  execute: overSingle,
};

/** How a conversation ended: the code of what it was ended by, and in words without numbers what was wrong. */
export interface Verdict {
  readonly code: string;
  readonly what: string;
}

/** Codes that say of the peer, or of its answer, what is so; anything else is a fault of this side. */
const FAIR = /^(?:agent|exec|file|port|execution|launcher|host)\/|^input\/invalid$|^aborted$/;

/**
 * Lets one listener hear what a peer says, in pieces of these sizes, and then that it hung up. Rejects where the listener
 * does not come to an end, or where it ends by a fault of its own.
 */
export async function hear(name: string, chunks: readonly Buffer[]): Promise<Verdict> {
  const wire = new Wire();
  const listener = LISTENERS[name];
  if (listener === undefined) throw new Error(`no listener ${name}`);
  const { ended, outcome } = listener(wire);
  let isSettled = false;
  const settled = outcome.then(
    () => undefined,
    (error: unknown) => error,
  );
  void settled.then(() => {
    isSettled = true;
  });
  for (const chunk of chunks) {
    if (wire.destroyed) break;
    wire.push(Buffer.from(chunk));
    await new Promise((resolve) => process.nextTick(resolve));
  }
  if (!wire.destroyed) wire.push(null);
  // Each turn brings what is left a step further; nothing waits for anything but turns.
  for (let turn = 0; !isSettled && turn < 2000; turn++) await new Promise((resolve) => setImmediate(resolve));
  if (!isSettled) throw new Error(`${name} waits on after its peer has hung up`);
  return verdictOf(name, (await settled) ?? (await ended));
}

function verdictOf(name: string, error: unknown): Verdict {
  if (error === undefined) return { code: "fine", what: name };
  const { code, message } = error as PlyboxError;
  // What a reader of lines finds is told by whoever reads them.
  const known = (error as Error).name === "ProtocolViolation" ? "agent/protocol" : code;
  if (known === undefined || !FAIR.test(known))
    throw new Error(`${name} ended by a fault of its own`, { cause: error });
  return { code: known, what: `${name}: ${message.replace(/\d+/g, "0").slice(0, 120)}` };
}
