import type { OutgoingHttpHeaders } from "node:http";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PlyboxError } from "../model/errors.ts";
import type { ExecEvent, ExecSession, OutputOffsets, OutputReading, OutputStream } from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import type { Commands } from "../sandbox/execs/commands.ts";
import { errorAnswer } from "./answers.ts";
import { eventStream, offsetsFromEventId } from "./event-stream.ts";
import type { ExecRoutes } from "./exec-routes.ts";
import { sendHead, sendStream } from "./file-transfer.ts";
import type { RightOfWay, StreamTurns } from "./right-of-way.ts";
import type { Call } from "./route.ts";

type OutputCall = Pick<Call<ExecRoutes["readOutput"]>, "params" | "query" | "incoming" | "outgoing" | "signal">;

export interface EventOptions {
  readonly rightOfWay: RightOfWay;
  readonly keepAliveMs: number;
  readonly onUnknownError: (error: unknown) => PlyboxError;
}

/** A command's output: its events, or the bytes of one stream. */
export async function answerOutput(commands: Commands, call: OutputCall, options: EventOptions): Promise<Response> {
  const { params, query, incoming, signal } = call;
  if (query.stream !== undefined) return await answerBytes(commands, call, query.stream, options.rightOfWay.stream());
  if (incoming.method === "HEAD") {
    const refused = new PlyboxError("route/method-not-allowed", "events have no head; ask for a stream's bytes");
    return errorAnswer(refused, { allow: "GET" });
  }
  const exec = params.exec as ExecId;
  const resumed = offsetsFromEventId(incoming.headers["last-event-id"]?.toString());
  const from = resumed ?? { stdout: query.stdout ?? query.from ?? 0, stderr: query.stderr ?? 0 };
  const { follow = true, shared = !follow } = query;
  const session = shared
    ? await commands.read(params.ref, exec, { from, follow }, signal)
    : await commands.attach(params.ref, exec, from, signal);
  return answerEvents(session, from, options);
}

/** The events of one who listens, or of one who reads beside. */
export function answerEvents(
  session: ExecSession | OutputReading,
  from: OutputOffsets,
  { rightOfWay, keepAliveMs, onUnknownError }: EventOptions,
): Response {
  const { exec, pid } = session;
  const release = (): void => session.close();
  return eventStream(session[Symbol.asyncIterator](), {
    started: { exec, pid },
    from,
    turns: rightOfWay.stream(),
    keepAliveMs,
    onUnknownError,
    release,
  });
}

async function answerBytes(
  commands: Commands,
  { params, query, incoming, outgoing, signal }: OutputCall,
  stream: OutputStream,
  turns: StreamTurns,
): Promise<Response> {
  const { from: asked = 0, follow = true } = query;
  // Of the other stream nothing is wanted: what has been written by now is passed over.
  const from = { stdout: 0, stderr: 0, [stream]: asked };
  const reading = await commands.read(params.ref, params.exec as ExecId, { from, follow }, signal);
  const length = reading[stream].to - reading[stream].from;
  const headers = { ...headersOf(reading, stream, asked), ...(!follow && { "content-length": length }) };
  if (incoming.method === "HEAD") {
    reading.close();
    return sendHead({ status: 200, headers });
  }
  // The stream itself cannot be ended while it waits for a command that says nothing.
  outgoing.once("close", () => reading.close());
  if (outgoing.destroyed) reading.close();
  const write = (to: Writable): Promise<void> => pipeline(bytesOf(reading, stream, turns), to, { end: false });
  return await sendStream(write, outgoing, { status: 200, headers });
}

function headersOf(reading: OutputReading, stream: OutputStream, asked: number): OutgoingHttpHeaders {
  const { from, to } = reading[stream];
  const { report } = reading;
  return {
    "content-type": "application/octet-stream",
    "cache-control": "no-store",
    "plybox-output-from": from,
    "plybox-output-to": to,
    ...(asked < from && { "plybox-output-gone": `${asked}-${from}` }),
    "plybox-running": String(report === null),
    ...(report?.code != null && { "plybox-exit-code": report.code }),
    ...(report?.signal != null && { "plybox-exit-signal": report.signal }),
    ...(report?.limit != null && { "plybox-exit-limit": report.limit }),
  };
}

/** The bytes of one stream. A gap between them fails it: a part must not look like the whole. */
async function* bytesOf(reading: OutputReading, stream: OutputStream, turns: StreamTurns): AsyncGenerator<Uint8Array> {
  const { from } = reading[stream];
  try {
    for await (const event of reading) {
      await turns(event);
      if (event.kind === "output" && event.stream === stream) yield event.bytes;
      else if (isGap(event, stream, from)) throw new PlyboxError("aborted", "the reader was too slow");
    }
  } finally {
    reading.close();
  }
}

/** What the headers have told is none. */
const isGap = (event: ExecEvent, stream: OutputStream, from: number): boolean =>
  event.kind === "lost" && event.stream === stream && event.to > from;
