import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { KeyedLock } from "../base/keyed-lock.ts";
import { DEFAULT_SHELL } from "../model/default-shell.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecFeed, ExecRequest, ExecSession, OutputOffsets } from "../model/exec.ts";
import type { ExecId, SandboxId } from "../model/ids.ts";
import { newExecId } from "../model/ids.ts";
import type { Commands, ExecOrigin } from "../sandbox/execs/commands.ts";
import { derivedExecId } from "../sandbox/execs/derived-exec-id.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import { acceptsEvents, json, noContent } from "./answers.ts";
import { collect } from "./collect.ts";
import type { ExecBody } from "./contract.ts";
import { answerEvents, answerOutput } from "./exec-output.ts";
import type { ExecRoutes } from "./exec-routes.ts";
import { execView } from "./exec-view.ts";
import type { RightOfWay } from "./right-of-way.ts";
import type { Handlers } from "./route.ts";

export interface ExecHandlerOptions {
  readonly sandboxes: Sandboxes;
  readonly commands: Commands;
  readonly rightOfWay: RightOfWay;
  readonly collectBytes: number;
  readonly keepAliveMs: number;
  readonly onUnknownError: (error: unknown) => PlyboxError;
}

const START: OutputOffsets = { stdout: 0, stderr: 0 };
const PAGE = 100;

export function execHandlers(options: ExecHandlerOptions): Handlers<ExecRoutes> {
  const { sandboxes, commands, rightOfWay, collectBytes } = options;
  const turns = new KeyedLock();

  return {
    // The client's going away is not passed on: a command that was asked for runs.
    async exec({ principal, params, body, incoming, outgoing }) {
      // From here on the id: a name may be another sandbox's by the time the command runs.
      const { id } = sandboxes.get(params.ref);
      const detached = body.detach === true;
      const isUntold = !detached && body.exec === undefined && !acceptsEvents(incoming);
      const origin = { by: principal.name, detached, isUntold };
      const key = idempotencyKey(incoming, body);
      const { session, isRepeated } =
        key === undefined
          ? { session: await commands.start(id, execRequest(body, newExecId()), origin), isRepeated: false }
          : await startOnce(commands, id, body, { ...origin, key });
      if (detached) return await detach(sandboxes, id, session, body);
      const feeding = isRepeated ? feedRest(sandboxes, id, session.exec, body.stdin) : feed(session, body.stdin);
      feeding.catch(() => {}); // The reader meets the same failure, or the command's end.
      if (acceptsEvents(incoming)) return answerEvents(session, START, options);
      closeWith(session, outgoing);
      const turns = rightOfWay.stream();
      return json(200, await collect(session, { turns, encoding: body.encoding ?? "utf8", maxBytes: collectBytes }));
    },

    async listExecs({ params, query }) {
      const { running, limit, since, after, count = PAGE } = query;
      const found = await commands.list(params.ref, {
        count: count + 1,
        ...(running !== undefined && { running }),
        ...(limit !== undefined && { limit }),
        ...(since !== undefined && { since: new Date(since) }),
        ...(after !== undefined && { after: after as ExecId }),
      });
      const execs = found.slice(0, count).map(execView);
      return json(200, { execs, next: found.length > count ? (execs.at(-1)?.exec ?? null) : null });
    },

    async getExec({ params, query, signal }) {
      const exec = params.exec as ExecId;
      if (query.wait !== undefined) await untilEnded(commands, params.ref, exec, { waitMs: query.waitMs, signal });
      return json(200, execView(await commands.get(params.ref, exec)));
    },

    async forgetExec({ params }) {
      await commands.forget(params.ref, params.exec as ExecId);
      return noContent();
    },

    readOutput: (call) => answerOutput(commands, call, options),

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
        const stdin = await sandboxes.input(id, exec, signal);
        try {
          await pour(incoming, stdin);
          if (query.end === true) await stdin.end();
        } finally {
          stdin.close();
        }
      };
      // Two bodies for one command never mix.
      await turns.run(`${id}/${exec}`, feedOnce, signal);
      return noContent();
    },
  };
}

/** The header that makes a repeated request the same one. */
function idempotencyKey({ headers }: IncomingMessage, body: ExecBody): string | undefined {
  const key = headers["idempotency-key"]?.toString();
  if (key === undefined) return undefined;
  const field = "idempotency-key";
  if (!/^[!-~]{1,255}$/.test(key)) {
    throw new PlyboxError("input/invalid", "must be 1 to 255 characters of printable ASCII", { field });
  }
  if (body.exec !== undefined) {
    throw new PlyboxError("input/invalid", "the key says which command it is; give no id beside it", { field: "exec" });
  }
  return key;
}

/** What was parsed has its fields in the schema's order, so that one body has one digest. */
const digestOf = (body: ExecBody): string => createHash("sha256").update(JSON.stringify(body)).digest("base64url");

function startOnce(
  commands: Commands,
  id: SandboxId,
  body: ExecBody,
  { key, ...origin }: ExecOrigin & { readonly key: string },
): ReturnType<Commands["startOnce"]> {
  const request = execRequest(body, derivedExecId(id, key));
  return commands.startOnce(id, request, { ...origin, digest: digestOf(body) });
}

function execRequest(body: ExecBody, exec: ExecId): ExecRequest {
  const { command = DEFAULT_SHELL, cwd, env, user, stdin, merge, pty, timeLimitMs, outputLimitBytes, ringBytes } = body;
  const { cpuTimeLimitMs, processLimit, memoryLimitBytes } = body;
  return {
    exec: (body.exec as ExecId | undefined) ?? exec,
    command,
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env }),
    ...(user !== undefined && { user }),
    ...(stdin !== undefined && { stdin: true }),
    ...(merge !== undefined && { merge }),
    ...(pty !== undefined && { pty }),
    ...(timeLimitMs !== undefined && { wallMs: timeLimitMs }),
    ...(cpuTimeLimitMs !== undefined && { cpuMs: cpuTimeLimitMs }),
    ...(processLimit !== undefined && { pids: processLimit }),
    ...(memoryLimitBytes !== undefined && { memoryBytes: memoryLimitBytes }),
    ...(outputLimitBytes !== undefined && { outputBytes: outputLimitBytes }),
    ...(ringBytes !== undefined && { ringBytes }),
  };
}

/** Answers when the command runs and its given stdin is taken, or will not be because it ended. */
async function detach(
  sandboxes: Sandboxes,
  id: SandboxId,
  session: ExecSession,
  { stdin }: ExecBody,
): Promise<Response> {
  const { exec, pid } = session;
  // First: a command that is listened to waits for its listener.
  session.close();
  await feedRest(sandboxes, id, exec, stdin);
  return json(202, { exec, pid });
}

type Stdin = ExecBody["stdin"];

function bytesOf(stdin: Exclude<Stdin, undefined | "stream">): Buffer {
  return "text" in stdin ? Buffer.from(stdin.text) : Buffer.from(stdin.base64, "base64");
}

async function feed(session: ExecSession, stdin: Stdin): Promise<void> {
  if (stdin === undefined || stdin === "stream") return;
  const bytes = bytesOf(stdin);
  if (bytes.length > 0) await session.write(bytes);
  await session.endInput();
}

/** Gives a command what an earlier request of the same key had not given it yet. */
async function feedRest(sandboxes: Sandboxes, id: SandboxId, exec: ExecId, stdin: Stdin): Promise<void> {
  if (stdin === undefined || stdin === "stream") return;
  let input: ExecFeed;
  try {
    input = await sandboxes.input(id, exec);
  } catch (error) {
    if (error instanceof PlyboxError && error.code === "exec/not-found") return;
    throw error;
  }
  try {
    const rest = bytesOf(stdin).subarray(input.offset);
    if (rest.length > 0) await input.write(rest);
    await input.end();
  } finally {
    input.close();
  }
}

/** A client that goes away while the command runs stops waiting for it; the command goes on. */
function closeWith(session: ExecSession, outgoing: ServerResponse): void {
  if (outgoing.destroyed) session.close();
  else outgoing.once("close", () => session.close());
}

/** Resolves when the command has ended, and after `waitMs` where it has not. */
async function untilEnded(
  commands: Commands,
  ref: string,
  exec: ExecId,
  { waitMs, signal }: { readonly waitMs: number | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const over = new AbortController();
  const timer = waitMs === undefined ? undefined : setTimeout(() => over.abort(), waitMs);
  try {
    await commands.ended(ref, exec, AbortSignal.any([over.signal, signal]));
  } catch (cause) {
    if (signal.aborted) {
      throw new PlyboxError("aborted", "the client went away before the command had ended", { cause });
    }
    if (!over.signal.aborted) throw cause;
  } finally {
    clearTimeout(timer);
  }
}

/** Passes a request's body on piece by piece. Ending the loop early must leave the connection for the answer. */
async function pour(incoming: IncomingMessage, stdin: ExecFeed): Promise<void> {
  const chunks: AsyncIterable<Uint8Array> = incoming.iterator({ destroyOnReturn: false });
  try {
    for await (const chunk of chunks) await stdin.write(chunk);
  } catch (cause) {
    if (cause instanceof PlyboxError || !incoming.destroyed) throw cause;
    throw new PlyboxError("aborted", "the client went away in the middle of its input", { cause });
  }
}
