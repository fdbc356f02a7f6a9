import type { ReadableStreamDefaultController } from "node:stream/web";
import { PlyboxError } from "../model/errors.ts";
import { errorView } from "./answers.ts";

/** One event of a stream; `data` is sent as JSON. */
export interface ServerSentEvent {
  readonly event: string;
  /** What a reader gives to go on after this event. */
  readonly id?: string;
  readonly data: object;
}

export interface ServerSentEventOptions {
  /** Silence after which a comment is sent, so that neither end takes the connection for dead. */
  readonly keepAliveMs: number;
  /** What a reader gets when the source fails with something other than a PlyboxError. */
  readonly onUnknownError: (error: unknown) => PlyboxError;
  /** Ends the stream, as a source does that has no more. */
  readonly closing?: AbortSignal;
}

const HEADERS = { "content-type": "text/event-stream", "cache-control": "no-store" };
const COMMENT = Buffer.from(": still here\n\n");

/**
 * Answers with events for as long as the source has any. The next one is asked for only when the connection has taken
 * the one before: a slow reader holds back its source and nobody's memory. The source's signal aborts when the reader
 * goes away; its failure is the stream's last event, `error`.
 */
export function serverSentEvents(
  open: (signal: AbortSignal) => AsyncIterable<ServerSentEvent>,
  { keepAliveMs, onUnknownError, closing }: ServerSentEventOptions,
): Response {
  const gone = new AbortController();
  const signal = closing === undefined ? gone.signal : AbortSignal.any([gone.signal, closing]);
  const events = open(signal)[Symbol.asyncIterator]();
  let keepAlive: NodeJS.Timeout | undefined;
  const source = {
    start(controller: ReadableStreamDefaultController<Uint8Array>) {
      // The headers go out with it: a reader knows that it listens before anything has happened.
      controller.enqueue(COMMENT);
      // Only while the reader waits: a comment behind unread events would tell nobody anything.
      keepAlive = setInterval(() => controller.desiredSize === 0 && controller.enqueue(COMMENT), keepAliveMs);
      keepAlive.unref();
    },
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      const { frame, isLast } = await next(events, onUnknownError);
      if (gone.signal.aborted) return;
      keepAlive?.refresh();
      if (frame !== undefined) controller.enqueue(frame);
      if (!isLast) return;
      clearInterval(keepAlive);
      controller.close();
    },
    cancel() {
      clearInterval(keepAlive);
      gone.abort();
    },
  };
  return new Response(new ReadableStream(source, { highWaterMark: 0 }), { status: 200, headers: HEADERS });
}

async function next(
  events: AsyncIterator<ServerSentEvent>,
  onUnknownError: (error: unknown) => PlyboxError,
): Promise<{ readonly frame: Buffer | undefined; readonly isLast: boolean }> {
  try {
    const { value, done } = await events.next();
    return done === true ? { frame: undefined, isLast: true } : { frame: frameOf(value), isLast: false };
  } catch (error) {
    const data = errorView(error instanceof PlyboxError ? error : onUnknownError(error));
    return { frame: frameOf({ event: "error", data }), isLast: true };
  }
}

const frameOf = ({ event, id, data }: ServerSentEvent): Buffer =>
  Buffer.from(`event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
