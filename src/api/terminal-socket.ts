import type { RawData, WebSocket } from "ws";
import { PlyboxError } from "../model/errors.ts";
import type { ExecEvent, ExecSession } from "../model/exec.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import { errorView } from "./answers.ts";
import { reportView } from "./collect.ts";
import { parse } from "./parse.ts";
import type { StreamTurns } from "./right-of-way.ts";
import { terminalRequest } from "./schemas/terminal.ts";

export interface TerminalOptions {
  readonly session: ExecSession;
  readonly turns: StreamTurns;
  /** Bytes of the terminal's output before the first that is sent. */
  readonly from: number;
  readonly sandboxes: Pick<Sandboxes, "resize" | "signal">;
  /** Id of the sandbox. */
  readonly ref: string;
  /** Aborts when the daemon stops. */
  readonly stopping: AbortSignal;
}

/** Nothing else may be said for hours, and what is between here and the client would take the connection for dead. */
const PING_MS = 30_000;
/** Codes of RFC 6455 with which the socket is closed. */
const CLOSE = { done: 1000, goingAway: 1001, badMessage: 1008, failed: 1011 } as const;

/**
 * Joins a command's terminal with a WebSocket until either ends. The command goes on without it. A client that does not
 * read holds back its own command; keys that the command does not take hold back their client.
 */
export function serveTerminal(ws: WebSocket, options: TerminalOptions): void {
  const { session, stopping } = options;
  let isAnswered = true;
  const pings = setInterval(() => {
    // Who has not answered in all that time is gone, though nobody said so.
    if (!isAnswered) return ws.terminate();
    isAnswered = false;
    ws.ping();
  }, PING_MS);
  pings.unref();
  ws.on("pong", () => {
    isAnswered = true;
  });
  const goAway = (): void => ws.close(CLOSE.goingAway, "the daemon is stopping");
  stopping.addEventListener("abort", goAway, { once: true });
  ws.once("close", () => {
    clearInterval(pings);
    stopping.removeEventListener("abort", goAway);
    session.close();
  });
  // A connection that breaks is closed next; that is where it is let go.
  ws.on("error", () => {});
  listen(ws, options);
  void show(ws, options);
}

/** What the command shows goes out, in order, each piece when the one before has left. */
async function show(ws: WebSocket, { session, turns, from }: TerminalOptions): Promise<void> {
  try {
    await send(ws, { type: "started", exec: session.exec, pid: session.pid, from });
    for await (const event of session) {
      await turns(event);
      await sendEvent(ws, event);
    }
    ws.close(CLOSE.done);
  } catch (error) {
    if (ws.readyState !== ws.OPEN) return;
    const known = error instanceof PlyboxError ? error : new PlyboxError("internal", "the terminal broke off");
    await send(ws, { type: "error", ...errorView(known) }).catch(() => {});
    ws.close(CLOSE.failed);
  }
}

async function sendEvent(ws: WebSocket, event: ExecEvent): Promise<void> {
  if (event.kind === "output") await send(ws, event.bytes);
  else if (event.kind === "lost") await send(ws, { type: "lost", from: event.from, to: event.to });
  else if (event.kind === "exit") await send(ws, { type: "exit", ...reportView(event.report) });
}

/** Resolves when the connection has taken it. */
function send(ws: WebSocket, message: Uint8Array | object): Promise<void> {
  const data = message instanceof Uint8Array ? message : JSON.stringify(message);
  return new Promise((resolve, reject) => ws.send(data, (error) => (error ? reject(error) : resolve())));
}

function listen(ws: WebSocket, options: TerminalOptions): void {
  let turn = Promise.resolve();
  let waiting = 0;
  ws.on("message", (message: RawData, isBinary: boolean) => {
    waiting += 1;
    // They are taken in the order in which they came; while one waits, no more are read.
    ws.pause();
    turn = turn
      .then(() => take(message as Buffer, isBinary, options))
      .catch((error: unknown) => refuse(ws, error))
      .finally(() => {
        waiting -= 1;
        if (waiting === 0 && ws.isPaused) ws.resume();
      });
  });
}

async function take(message: Buffer, isBinary: boolean, options: TerminalOptions): Promise<void> {
  const { session, sandboxes, ref } = options;
  if (isBinary) {
    await session.write(message);
    return;
  }
  const request = parse(terminalRequest, readJson(message));
  if (request.type === "signal") await sandboxes.signal(ref, session.exec, request.signal, "group");
  else await sandboxes.resize(ref, session.exec, { columns: request.columns, rows: request.rows });
}

function readJson(message: Buffer): unknown {
  try {
    return JSON.parse(message.toString());
  } catch (cause) {
    throw new PlyboxError("input/invalid", "a text message must be JSON", { cause });
  }
}

/** A client that sends what cannot be understood is told so and let go; a command that has ended takes no more. */
async function refuse(ws: WebSocket, error: unknown): Promise<void> {
  if (!(error instanceof PlyboxError) || error.code !== "input/invalid" || ws.readyState !== ws.OPEN) return;
  await send(ws, { type: "error", ...errorView(error) }).catch(() => {});
  ws.close(CLOSE.badMessage);
}
