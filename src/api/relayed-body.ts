import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as after } from "node:timers/promises";
import { PlyboxError } from "../model/errors.ts";
import type { Carried, Carry, Relay } from "../model/file-relay.ts";
import { receiveBody } from "./file-transfer.ts";

/** From here on starting a process costs less than copying every byte twice more. */
const LEAST_BYTES = 8 * 1024 ** 2;
/** How long an agent that has broken off may take to say why. */
const LAST_WORDS_MS = 1000;
/** How long a client may take to close its connection when it has been answered. */
const PARTING_MS = 10_000;

/** The two halves of one request. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/** What takes a body, and lends its connection for the rest of one. */
export interface Borrowable extends Writable {
  lend(bytes: number, carry: Carry): Promise<Carried | undefined>;
}

/** How the body of an answer, so many bytes, is carried; undefined where that is not worth while. */
export function answerPassage(
  relay: Relay | undefined,
  bytes: number,
  { socket }: ServerResponse,
): { readonly bytes: number; readonly carry: Carry } | undefined {
  if (relay === undefined || socket === null || bytes < LEAST_BYTES) return undefined;
  const carry: Carry = async (lent) => {
    const carried = await relay.toClient(socket, lent);
    socket.resume();
    return carried;
  };
  return { bytes, carry };
}

/**
 * Passes a request's body on, what is large of it through `relay` where there is one; resolves when it has arrived and
 * been dealt with.
 * @throws PlyboxError what became of the sink, or `aborted`
 */
export async function receiveUpload(exchange: Exchange, sink: Borrowable, relay: Relay | undefined): Promise<void> {
  const { incoming } = exchange;
  const isPlain = incoming.headers["content-encoding"] === undefined;
  if (relay !== undefined && isPlain && (await relayBody(relay, exchange, sink))) return;
  await receiveBody(incoming, sink);
}

/** Answers false where it is not worth while or not possible: what has not been written of the body is to be, then. */
async function relayBody(relay: Relay, exchange: Exchange, sink: Borrowable): Promise<boolean> {
  const { incoming } = exchange;
  const bytes = Number(incoming.headers["content-length"]);
  if (!(bytes >= LEAST_BYTES) || incoming.destroyed) return false;
  // A sink without an error to tell was given up.
  const failed = finished(sink).then(() => Promise.reject(new PlyboxError("aborted", "the transfer was given up")));
  failed.catch(() => {}); // Also where nobody waits for it any more.
  const early = await stopReading(incoming);
  // A sink takes what is written for good.
  const rest = bytes - (early?.length ?? 0);
  if (early !== null) await Promise.race([new Promise((resolve) => sink.write(early, resolve)), failed]);
  const carried = await Promise.race([carryRest(relay, exchange, sink, rest), failed]);
  if (carried === undefined) return false;
  if (carried.end === "done") {
    await finished(sink.end());
    return true;
  }
  const error = await breach(carried.end, failed);
  sink.destroy(error);
  throw error;
}

async function carryRest(
  relay: Relay,
  { incoming: { socket }, outgoing }: Exchange,
  sink: Borrowable,
  bytes: number,
): Promise<Carried | undefined> {
  const read = socket.bytesRead;
  const carried = await sink.lend(bytes, (lent) => {
    // The parser knows nothing of what passes it, so the connection ends with the answer.
    outgoing.shouldKeepAlive = false;
    leaveClosingToClient(socket);
    return relay.fromClient(socket, lent);
  });
  if (carried === undefined || socket.bytesRead === read) return carried;
  throw new PlyboxError("internal", "a part of the body was read twice");
}

/**
 * Has the end of an answer end the connection in that direction alone. A client may be about to return from its last write
 * when all of its body is here, and of a Unix socket that is closed it would hear of the loss, and not the answer.
 */
function leaveClosingToClient(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), PARTING_MS).unref();
    socket.once("close", () => clearTimeout(timer));
  };
}

/** What the parser has taken of a body already; when this resolves it takes no more. */
async function stopReading(incoming: IncomingMessage): Promise<Buffer | null> {
  const early: Buffer | null = incoming.read();
  // To read is to have the socket go on in the next tick: only behind that it can be stopped.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  incoming.socket.pause();
  return early;
}

async function breach(end: "client" | "agent", failed: Promise<never>): Promise<PlyboxError> {
  if (end === "client") return new PlyboxError("aborted", "the client went away in the middle of its body");
  try {
    await Promise.race([failed, after(LAST_WORDS_MS)]);
  } catch (error) {
    if (error instanceof PlyboxError) return error;
  }
  return new PlyboxError("agent/unreachable", "the agent broke off in the middle of a body");
}
