import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { PlyboxError } from "../model/errors.ts";

/** Tells the server that the answer has been written by other means; its status is for those who watch. */
function alreadySent(status: number): Response {
  const response = new Response(null, { status, headers: { "x-hono-already-sent": "true" } });
  // The server looks for the header on a true response alone; being asked for its body makes a light stand-in one.
  void response.body;
  return response;
}

/** The head of an answer whose body is a stream. */
interface Head {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
}

/**
 * Answers with what `write` writes, past the web streams, which would take most of the time. What fails in the middle
 * cuts the connection: a client never takes a part for the whole.
 */
export async function sendStream(
  write: (outgoing: ServerResponse) => Promise<void>,
  outgoing: ServerResponse,
  { status, headers }: Head,
): Promise<Response> {
  outgoing.writeHead(status, headers);
  // The head goes out now: what follows may be long in coming.
  outgoing.flushHeaders();
  try {
    await write(outgoing);
    await finished(outgoing.end());
  } catch {
    outgoing.destroy();
  }
  return alreadySent(status);
}

/** Answers with a head alone. */
export const sendHead = ({ status, headers }: Head): Response =>
  new Response(null, { status, headers: headers as Record<string, string> });

/** Passes a request's body on; resolves when it has arrived and been dealt with. */
export async function receiveBody(incoming: IncomingMessage, sink: Writable): Promise<void> {
  if (incoming.headers["content-encoding"] !== undefined) {
    sink.destroy();
    throw new PlyboxError("input/invalid", "the body must be sent without content-encoding", {
      field: "content-encoding",
    });
  }
  await pour(incoming, sink);
}

/** Like `pipeline`, which would destroy the connection on which the refusal is still to be told. */
function pour(incoming: IncomingMessage, sink: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    const lost = (): void => {
      if (incoming.complete) return;
      sink.destroy();
      reject(new PlyboxError("aborted", "the client went away in the middle of its body"));
    };
    const fail = (error: unknown): void => {
      incoming.unpipe(sink);
      settle();
      reject(error);
    };
    const done = (): void => {
      settle();
      resolve();
    };
    const settle = (): void => {
      incoming.off("close", lost).off("error", lost);
      sink.off("error", fail).off("finish", done);
    };
    incoming.on("close", lost).on("error", lost);
    // Its loss may be told once more when this has settled; without any listener that would end the process.
    incoming.on("error", () => {});
    sink.on("error", fail).on("finish", done);
    if (incoming.destroyed && !incoming.complete) lost();
    else incoming.pipe(sink);
  });
}
