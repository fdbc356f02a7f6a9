import type { ClientRequest, IncomingMessage, RequestOptions, ServerResponse } from "node:http";
import { request as httpRequest } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { joinStreams } from "../../base/join-streams.ts";
import { ERRORS, PlyboxError } from "../../model/errors.ts";
import type { Ports } from "../../sandbox/ports/ports.ts";
import type { Access } from "../access.ts";
import { errorView } from "../answers.ts";
import type { Upgrades } from "../upgrades.ts";
import { refuseUpgrade } from "../upgrades.ts";
import type { PortAddress } from "./address.ts";
import { portAddressOf } from "./address.ts";
import { CREDENTIAL_NAME, credentialsOf, takeFromTarget } from "./credentials.ts";
import { innerHeaders, outerHeaders, pairs } from "./headers.ts";
import type { Visitor, Visitors } from "./visitors.ts";

export interface PortProxyOptions {
  readonly ports: Ports;
  readonly visitors: Visitors;
  /** Keeps count of connections that leave HTTP. */
  readonly upgrades: Upgrades;
  /** `PORT-REF.DOMAIN` is served as that port; null for none. */
  readonly domain: string | null;
  /** What is answered for an error that is no PlyboxError. */
  readonly fail: (error: unknown) => PlyboxError;
}

/** A request that has been let in. */
interface Admitted {
  readonly visitor: Visitor;
  /** Without what was meant for this daemon. */
  readonly address: PortAddress;
}

/** Hands requests on to the HTTP servers inside sandboxes, byte for byte where HTTP lets it. */
export class PortProxy {
  readonly #options: PortProxyOptions;

  constructor(options: PortProxyOptions) {
    this.#options = options;
  }

  /** Serves the request where it is for a port; answers whether it is. */
  serve(incoming: IncomingMessage, outgoing: ServerResponse, access: Access): boolean {
    const address = this.#addressOf(incoming, (error) => answerError(outgoing, error));
    if (address === undefined) return false;
    if (address !== null && /^(?:\?|$)/.test(address.target)) {
      // A page's relative addresses would lead above the port.
      outgoing.writeHead(308, { location: `${address.prefix}/${address.target}` }).end();
    } else if (address !== null) {
      this.#request(incoming, outgoing, address, access).catch((error: unknown) =>
        answerError(outgoing, this.#options.fail(error)),
      );
    }
    return true;
  }

  /** The same for a request that leaves HTTP. */
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, access: Access): boolean {
    const address = this.#addressOf(incoming, (error) => refuseUpgrade(socket, error));
    if (address === undefined) return false;
    this.#options.upgrades.track(socket);
    if (address !== null) {
      this.#upgrade(incoming, socket, { head, address, access }).catch((error: unknown) =>
        refuseUpgrade(socket, this.#options.fail(error)),
      );
    }
    return true;
  }

  /** Null where it is for a port, but a wrong one, which has been answered. */
  #addressOf(incoming: IncomingMessage, refuse: (error: PlyboxError) => void): PortAddress | null | undefined {
    try {
      return portAddressOf(incoming, this.#options.domain);
    } catch (error) {
      refuse(this.#options.fail(error));
      return null;
    }
  }

  async #request(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    given: PortAddress,
    access: Access,
  ): Promise<void> {
    const { visitor, address } = this.#admit(incoming, given, access);
    if (redirectsToClean(incoming, outgoing, visitor, address)) return;
    const gone = new AbortController();
    outgoing.once("close", () => gone.abort());
    const { inner, request } = await this.#open(
      incoming,
      { visitor, address },
      { upgrades: false, signal: gone.signal },
    );
    gone.signal.addEventListener("abort", () => inner.destroy(), { once: true });
    sendBody(incoming, request);
    const answer = await answerOf(request);
    if (!isFinal(answer)) throw noAnswer(`it answered ${answer.statusCode}`);
    // The server inside may answer before it has read the body, and stop reading then.
    request.on("error", () => {});
    await passOn(answer, outgoing);
  }

  async #upgrade(
    incoming: IncomingMessage,
    socket: Duplex,
    { head, address: given, access }: { head: Buffer; address: PortAddress; access: Access },
  ): Promise<void> {
    const { headers } = incoming;
    if (Number(headers["content-length"] ?? 0) > 0 || headers["transfer-encoding"] !== undefined) {
      throw new PlyboxError("input/invalid", "a request that leaves HTTP has no body here");
    }
    const admitted = this.#admit(incoming, given, access);
    const gone = new AbortController();
    socket.once("close", () => gone.abort());
    const { inner, request } = await this.#open(incoming, admitted, { upgrades: true, signal: gone.signal });
    gone.signal.addEventListener("abort", () => inner.destroy(), { once: true });
    request.end();
    const upgraded = new Promise<Buffer>((resolve) =>
      request.once("upgrade", (_answer, _socket, early) => resolve(early)),
    );
    const answer = await answerOf(request);
    if (isFinal(answer)) return await refuseAs(answer, socket);
    if (answer.statusCode !== 101) throw noAnswer(`it answered ${answer.statusCode}`);
    const early = await upgraded;
    const connection = ["connection", "Upgrade", "upgrade", answer.headers.upgrade ?? ""];
    socket.write(headOf(answer, [...outerHeaders(answer), ...connection]), "latin1");
    if (early.length > 0) socket.write(early);
    if (head.length > 0) inner.write(head);
    await joinStreams(socket, inner);
  }

  /** @throws PlyboxError what `Visitors` does */
  #admit(incoming: IncomingMessage, address: PortAddress, access: Access): Admitted {
    const { target, taken } = takeFromTarget(address.target);
    const clean = { ...address, target };
    const credentials = credentialsOf(incoming.headers, taken);
    return { visitor: this.#options.visitors.admit(incoming, clean, credentials, access), address: clean };
  }

  /** Sends the head of the request to the server inside, on a connection of its own. */
  async #open(
    incoming: IncomingMessage,
    { visitor, address }: Admitted,
    { upgrades, signal }: { upgrades: boolean; signal: AbortSignal },
  ): Promise<{ readonly inner: Duplex; readonly request: ClientRequest }> {
    const inner = await this.#options.ports.dial(visitor.sandbox.id, { port: address.port }, signal);
    const { method = "GET" } = incoming;
    const { dropAuthorization } = visitor;
    const request = httpRequest({
      ...{ method, path: address.target, setHost: false, createConnection: () => inner },
      headers: innerHeaders(incoming, { address, upgrades, dropAuthorization }),
    } as RequestOptions);
    return { inner, request };
  }
}

/**
 * Where the query held what lets a browser in, a cookie keeps it, for what the page loads, and the address bar is cleaned.
 * Only where the server inside has an origin of its own: elsewhere a cookie would belong to all sandboxes. Answers
 * whether it was so.
 */
function redirectsToClean(
  { method, headers, url = "" }: IncomingMessage,
  outgoing: ServerResponse,
  { keep }: Visitor,
  { byHost, target }: PortAddress,
): boolean {
  const isPage = method === "GET" || method === "HEAD";
  // Two slashes would name another host.
  if (!byHost || !isPage || keep === undefined || url === target || /^\/[/\\]/.test(target)) return false;
  const { credential, expiresAt } = keep;
  const ageSeconds =
    expiresAt === null ? undefined : Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000));
  const attributes = [
    ...["Path=/", "HttpOnly", "SameSite=Lax"],
    ...(ageSeconds === undefined ? [] : [`Max-Age=${ageSeconds}`]),
    ...(headers["x-forwarded-proto"] === "https" ? ["Secure"] : []),
  ];
  outgoing.writeHead(302, {
    location: target,
    "set-cookie": `${CREDENTIAL_NAME}=${credential}; ${attributes.join("; ")}`,
    "cache-control": "no-store",
    // The address that is being left holds a secret.
    "referrer-policy": "no-referrer",
  });
  outgoing.end();
  return true;
}

/** Sends on the body and its trailers as they come. */
function sendBody(incoming: IncomingMessage, request: ClientRequest): void {
  incoming.on("end", () => {
    const trailers = pairs(incoming.rawTrailers);
    if (trailers.length > 0) request.addTrailers(trailers);
    request.end();
  });
  incoming.pipe(request, { end: false });
}

/** @throws PlyboxError `port/reset` when no answer comes */
function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once("response", resolve);
    request.once("upgrade", (answer) => resolve(answer));
    request.once("error", (cause) => reject(cause instanceof PlyboxError ? cause : noAnswer(cause.message, cause)));
  });
}

/** A server inside that changes the protocol unasked would speak to the client behind HTTP's back. */
const isFinal = ({ statusCode = 0 }: IncomingMessage): boolean => statusCode >= 200;

const noAnswer = (why: string, cause?: unknown): PlyboxError =>
  new PlyboxError("port/reset", `the server inside gave no HTTP answer: ${why}`, { cause });

async function passOn(answer: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  outgoing.sendDate = false;
  try {
    outgoing.writeHead(answer.statusCode ?? 0, answer.statusMessage ?? "", outerHeaders(answer));
  } catch (cause) {
    // The parser lets through what no server may send.
    answer.destroy();
    throw noAnswer((cause as Error).message, cause);
  }
  // An answer may be long in coming, and its head says already that it is on its way.
  outgoing.flushHeaders();
  try {
    await pipeline(answer, outgoing, { end: false });
  } catch {
    // Cut off, so that the client does not take a part for the whole.
    outgoing.destroy();
    return;
  }
  const trailers = pairs(answer.rawTrailers);
  if (trailers.length > 0) outgoing.addTrailers(trailers);
  outgoing.end();
}

/** An answer that stays with HTTP, on a connection that is not used again: it was to become something else. */
async function refuseAs(answer: IncomingMessage, socket: Duplex): Promise<void> {
  socket.write(headOf(answer, [...outerHeaders(answer), "connection", "close"]), "latin1");
  await pipeline(answer, socket).catch(() => {});
  socket.destroy();
}

function headOf({ statusCode, statusMessage }: IncomingMessage, headers: readonly string[]): string {
  const lines = pairs(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join("")}\r\n`;
}

function answerError(outgoing: ServerResponse, error: PlyboxError): void {
  if (outgoing.headersSent) {
    outgoing.destroy();
    return;
  }
  const { http } = ERRORS[error.code];
  const challenge = http === 401 ? { "www-authenticate": "Bearer" } : {};
  outgoing.writeHead(http, { "content-type": "application/json", ...challenge });
  outgoing.end(JSON.stringify({ error: errorView(error) }));
}
