import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { unreachable } from "./plybox-api-error.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";
import { nodeModule, upgradeConnection } from "./upgrade.ts";

/** Less than the daemon keeps an idle connection: one that is used again just as it closes that cannot be told from a loss. */
const IDLE_MS = 30_000;

/**
 * Over a Unix socket with kept-alive connections; Node only, because `fetch` knows no Unix sockets.
 * @param idleMs how long a connection is kept that nothing is asked on
 */
export function unixTransport(socketPath: string, idleMs = IDLE_MS): Transport {
  // Asked of the process and not imported, so that a bundle for browsers holds no trace of it.
  const http = globalThis.process?.getBuiltinModule?.("node:http");
  if (http === undefined) throw new TypeError("a Unix socket needs Node; give baseUrl");
  const agent = new http.Agent({ keepAlive: true, scheduling: "lifo", timeout: idleMs });
  agent.createConnection = () => connectLargely(socketPath);
  const attempt = (request: TransportRequest) => sendOnce(http, agent, socketPath, request);
  return {
    async send(request) {
      try {
        return await attempt(request);
      } catch (error) {
        // The daemon may close an idle connection just as it is used again. What changes nothing is safe to repeat.
        if (!(error instanceof StaleConnection)) throw error;
        if (request.method !== "GET") throw unreachable(error.message, error.cause);
        return await attempt(request);
      }
    },
    upgrade: (request) => upgradeConnection({ socketPath }, request),
    baseUrl: null,
    close: () => agent.destroy(),
  };
}

/** Of one read; the parser of HTTP copies what it hands on. */
const ROOM_BYTES = 1_048_576;
/** What a body may be ahead of the daemon: enough that neither waits for the other. */
const AHEAD_BYTES = 2_097_152;

/** Reads in large pieces into memory of its own: what Node makes anew for each 64 KiB costs more than a fast answer. */
function connectLargely(socketPath: string): Socket {
  const room = Buffer.allocUnsafeSlow(ROOM_BYTES);
  const onread = { buffer: room, callback: (bytes: number) => socket.emit("data", room.subarray(0, bytes)) };
  const options = { path: socketPath, onread, writableHighWaterMark: AHEAD_BYTES };
  const socket: Socket = nodeModule("node:net").connect(options);
  return socket;
}

/** A kept-alive connection turned out to be closed before anything of the answer came. */
class StaleConnection extends Error {}

function sendOnce(
  http: typeof import("node:http"),
  agent: Agent,
  socketPath: string,
  { method, path, headers, body, bodyBytes, signal }: TransportRequest,
): Promise<TransportResponse> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const isWhole = typeof body === "string" || body instanceof Uint8Array;
    const bytes = isWhole ? byteLength(body) : bodyBytes;
    const length = bytes === undefined ? {} : { "content-length": bytes };
    const request = http.request(
      { socketPath, agent, method, path, headers: { ...headers, ...length } },
      (incoming) => {
        // A refusal may come before all of a body has been sent, and ends it.
        incoming.once("end", () => request.writableEnded || request.destroy());
        resolve(responseOf(incoming, socketPath, signal));
      },
    );
    request.on("error", (cause) => reject(failure(cause, request, socketPath, signal)));
    // Without an error: Node hands one to the socket, which has no listener for it when the answer has just ended.
    const abort = (): void => void request.destroy();
    signal?.addEventListener("abort", abort, { once: true });
    request.once("close", () => signal?.removeEventListener("abort", abort));
    if (body === undefined || isWhole) request.end(body);
    else pour(body, request).catch(reject);
  });
}

/** Writes what the caller gives as fast as it is taken. A refusal that comes meanwhile ends it. */
async function pour(body: AsyncIterable<Uint8Array>, request: ClientRequest): Promise<void> {
  let isOver = false;
  let wake = (): void => {};
  const over = (): void => {
    isOver = true;
    wake();
  };
  request.once("close", over).once("response", over);
  request.on("drain", () => wake());
  try {
    for await (const piece of body) {
      if (isOver) return;
      if (request.write(piece)) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (isOver) resolve();
      });
    }
    request.end();
  } catch (error) {
    // The daemon must not take what there is for all of it.
    request.destroy();
    throw error;
  }
}

const byteLength = (body: string | Uint8Array): number =>
  typeof body === "string" ? Buffer.byteLength(body) : body.length;

function failure(cause: unknown, request: ClientRequest, socketPath: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  const { code } = cause as NodeJS.ErrnoException;
  if (request.reusedSocket && (code === "ECONNRESET" || code === "EPIPE")) {
    return new StaleConnection(`the connection to ${socketPath} was lost before an answer`, { cause });
  }
  return unreachable(`no answer at ${socketPath}${code === undefined ? "" : ` (${code})`}`, cause);
}

function responseOf(incoming: IncomingMessage, socketPath: string, signal: AbortSignal | undefined): TransportResponse {
  const lost = (cause: unknown): unknown =>
    signal?.aborted === true ? signal.reason : unreachable(`the answer from ${socketPath} broke off`, cause);
  // An answer that breaks off while nobody reads it must not end the process; a reader has its own listener.
  incoming.on("error", () => {});
  return {
    status: incoming.statusCode ?? 0,
    headers: Object.entries(incoming.headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    ),
    text: () =>
      new Promise((resolve, reject) => {
        let text = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (piece: string) => {
          text += piece;
        });
        incoming.on("end", () => resolve(text));
        incoming.on("error", (cause) => reject(lost(cause)));
      }),
    async *chunks() {
      try {
        yield* incoming as AsyncIterable<Uint8Array>;
      } catch (cause) {
        throw lost(cause);
      }
    },
  };
}
