import type { IncomingMessage, ServerResponse } from "node:http";
import { KeyedLock } from "../base/keyed-lock.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecRequest, ExecSession, OutputOffsets } from "../model/exec.ts";
import type { ExecId, SandboxId } from "../model/ids.ts";
import { newExecId } from "../model/ids.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import { acceptsEvents, json, noContent } from "./answers.ts";
import { collect } from "./collect.ts";
import type { ExecBody } from "./contract.ts";
import { eventStream, offsetsFromEventId } from "./event-stream.ts";
import type { Share } from "./open-sessions.ts";
import { Events, OpenSessions } from "./open-sessions.ts";
import type { Handlers } from "./route.ts";
import type { ExecRoutes } from "./routes.ts";

export interface ExecHandlerOptions {
  readonly sandboxes: Sandboxes;
  readonly collectBytes: number;
  readonly keepAliveMs: number;
  readonly onUnknownError: (error: unknown) => PlyboxError;
}

const START: OutputOffsets = { stdout: 0, stderr: 0 };

export function execHandlers(options: ExecHandlerOptions): Handlers<ExecRoutes> {
  const { sandboxes, collectBytes } = options;
  const open = new OpenSessions();
  const turns = new KeyedLock();

  const events = (share: Share, from: OutputOffsets): Response => {
    const { exec, pid } = share.session;
    const { keepAliveMs, onUnknownError } = options;
    return eventStream(share.events, {
      started: { exec, pid },
      from,
      keepAliveMs,
      onUnknownError,
      release: share.release,
    });
  };

  return {
    // The client's going away is not passed on: a command that was asked for runs.
    async exec({ params, body, incoming, outgoing }) {
      // From here on the id: a name may be another sandbox's by the time the command runs.
      const { id } = sandboxes.get(params.ref);
      const session = await sandboxes.exec(id, execRequest(body));
      if (body.detach === true) return await detach(session, body);
      const share = open.read(id, session, body.stdin === "stream" || body.pty !== undefined);
      feed(session, body.stdin).catch(() => {}); // The reader meets the same failure, or the command's end.
      if (acceptsEvents(incoming)) return events(share, START);
      releaseOnClose(share, outgoing);
      const iterable = { [Symbol.asyncIterator]: () => share.events };
      return json(200, await collect(iterable, { encoding: body.encoding ?? "utf8", maxBytes: collectBytes }));
    },

    async listExecs({ params }) {
      return json(200, { execs: await sandboxes.execs(params.ref) });
    },

    async readOutput({ params, query, incoming, signal }) {
      const resumed = offsetsFromEventId(incoming.headers["last-event-id"]?.toString());
      const from = resumed ?? { stdout: query.stdout ?? 0, stderr: query.stderr ?? 0 };
      const { id } = sandboxes.get(params.ref);
      const session = await sandboxes.attach(id, params.exec as ExecId, from, signal);
      return events(open.read(id, session, true), from);
    },

    async signalExec({ params, body }) {
      await sandboxes.signal(params.ref, params.exec as ExecId, body.signal, body.scope ?? "group");
      return noContent();
    },

    async resizeTerminal({ params, body }) {
      await sandboxes.resize(params.ref, params.exec as ExecId, body);
      return noContent();
    },

    async writeStdin({ params, query, incoming, signal }) {
      const exec = params.exec as ExecId;
      const { id } = sandboxes.get(params.ref);
      const feedOnce = async (): Promise<void> => {
        const share = await open.write(id, exec, () => attachToFeed(sandboxes, id, exec));
        try {
          await pour(incoming, share.session);
          if (query.end === true) await share.session.endInput();
        } finally {
          share.release();
        }
      };
      // Two bodies for one command never mix.
      await turns.run(`${id}/${exec}`, feedOnce, signal);
      return noContent();
    },
  };
}

function execRequest(body: ExecBody): ExecRequest {
  const { command, cwd, env, user, stdin, merge, pty, timeLimitMs, outputLimitBytes, ringBytes } = body;
  return {
    exec: (body.exec as ExecId | undefined) ?? newExecId(),
    command,
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env }),
    ...(user !== undefined && { user }),
    ...(stdin !== undefined && { stdin: true }),
    ...(merge !== undefined && { merge }),
    ...(pty !== undefined && { pty }),
    ...(timeLimitMs !== undefined && { wallMs: timeLimitMs }),
    ...(outputLimitBytes !== undefined && { outputBytes: outputLimitBytes }),
    ...(ringBytes !== undefined && { ringBytes }),
  };
}

/** Answers when the command runs and its given stdin is taken, or will not be because it ended. */
async function detach(session: ExecSession, { stdin }: ExecBody): Promise<Response> {
  const { exec, pid } = session;
  try {
    if (stdin !== undefined && stdin !== "stream") {
      await Promise.race([feed(session, stdin), new Events(session).discard()]);
    }
  } finally {
    session.close();
  }
  return json(202, { exec, pid });
}

async function feed(session: ExecSession, stdin: ExecBody["stdin"]): Promise<void> {
  if (stdin === undefined || stdin === "stream") return;
  const bytes = "text" in stdin ? Buffer.from(stdin.text) : Buffer.from(stdin.base64, "base64");
  if (bytes.length > 0) await session.write(bytes);
  await session.endInput();
}

/** A client that goes away while the command runs stops waiting for it; the command goes on. */
function releaseOnClose(share: Share, outgoing: ServerResponse): void {
  if (outgoing.destroyed) share.release();
  else outgoing.once("close", share.release);
}

/** Attaches where the command's output ends now, so that its kept output stays for a reader. */
async function attachToFeed(sandboxes: Sandboxes, id: SandboxId, exec: ExecId): Promise<ExecSession> {
  const summary = (await sandboxes.execs(id)).find((each) => each.exec === exec);
  if (summary === undefined) throw new PlyboxError("exec/not-found", `no command ${exec} is kept in this sandbox`);
  return await sandboxes.attach(id, exec, { stdout: summary.stdoutBytes, stderr: summary.stderrBytes });
}

/** Passes a request's body on piece by piece. Ending the loop early must leave the connection for the answer. */
async function pour(incoming: IncomingMessage, session: ExecSession): Promise<void> {
  const chunks: AsyncIterable<Uint8Array> = incoming.iterator({ destroyOnReturn: false });
  try {
    for await (const chunk of chunks) await session.write(chunk);
  } catch (cause) {
    if (cause instanceof PlyboxError || !incoming.destroyed) throw cause;
    throw new PlyboxError("aborted", "the client went away in the middle of its input", { cause });
  }
}
