import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { PlyboxError } from "../model/errors.ts";
import type { Access } from "./access.ts";
import { errorAnswer, errorView } from "./answers.ts";
import type { Api } from "./create-api.ts";
import { declineUpgrade } from "./decline-upgrade.ts";
import type { PortProxy } from "./ports/proxy.ts";
import type { Upgrades } from "./upgrades.ts";

/** What serves requests, each kind its own. */
export interface ApiParts {
  readonly api: Api;
  readonly upgrades: Upgrades;
  readonly portProxy: PortProxy;
}

/** Longer than the pauses of a working client, so that it seldom meets a connection that is just being closed. */
const KEEP_ALIVE_MS = 75_000;
const HEADERS_MS = 30_000;

/** An HTTP server for one listener: `listen` on it is the caller's, so is closing it and `upgrades`. */
export function createApiServer({ api, upgrades, portProxy }: ApiParts, access: Access): Server {
  const listener = getRequestListener(
    (request, { incoming, outgoing }) =>
      api.fetch(request, { incoming: incoming as IncomingMessage, outgoing: outgoing as ServerResponse, access }),
    // Only a request whose target or host makes no URL gets here; the app answers its own errors.
    { errorHandler: (cause) => errorAnswer(new PlyboxError("input/invalid", "not a valid request target", { cause })) },
  );
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEADERS_MS,
      // A body may be a command's stdin and take hours; JSON bodies have a deadline of their own.
      requestTimeout: 0,
      // The listener answers it with a body; the parser would close without one.
      requireHostHeader: false,
    },
    (incoming, outgoing) => {
      // Before everything that reads bodies or takes URLs apart.
      if (!portProxy.serve(incoming, outgoing, access)) void listener(incoming, outgoing);
    },
  );
  server.on("clientError", answerBadBytes);
  server.on("upgrade", (incoming, socket, head) => {
    if (portProxy.upgrade(incoming, socket, head, access)) return;
    if (upgrades.serves(incoming)) void upgrades.serve(incoming, socket, head, access);
    else declineUpgrade(server, incoming, socket, head);
  });
  return server;
}

/** Bytes that are no HTTP never reach the app; they get the same kind of answer. */
function answerBadBytes(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal =
    error.code === "HPE_HEADER_OVERFLOW"
      ? new PlyboxError("input/too-large", "the headers are over 16 KiB")
      : new PlyboxError("input/invalid", "not an HTTP/1.1 request");
  const status = refusal.code === "input/too-large" ? "413 Content Too Large" : "400 Bad Request";
  const body = JSON.stringify({ error: errorView(refusal) });
  const head = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
