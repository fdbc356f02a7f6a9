import type { IncomingMessage } from "node:http";
import { STATUS_CODES } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { sharedAbort } from "../base/abort.ts";
import { ERRORS, PlyboxError } from "../model/errors.ts";
import type { Principal } from "../model/principal.ts";
import type { ObservedResult, RequestObserver } from "../model/request-observer.ts";
import type { Access } from "./access.ts";
import { errorView } from "./answers.ts";
import type { Errand, Gate } from "./gate.ts";
import { observe } from "./observe.ts";
import type { PathParams } from "./path-pattern.ts";
import { isAt, matchPath } from "./path-pattern.ts";

/** A request to leave HTTP for another protocol on the same connection, admitted. */
export interface UpgradeCall {
  readonly principal: Principal;
  /** Decoded; `ref` is the sandbox's id, whatever the path had. */
  readonly params: PathParams;
  readonly query: URLSearchParams;
  readonly incoming: IncomingMessage;
  /** Whoever answers owns it; it is ended for them when the daemon stops. */
  readonly socket: Duplex;
  /** What the client has sent behind its request. */
  readonly head: Buffer;
  /** Aborts when the daemon stops: a moment to say goodbye in the protocol's own words. */
  readonly stopping: AbortSignal;
}

export interface UpgradeRoute {
  /** What it is called in the audit log. */
  readonly action: string;
  /** `:ref` is one segment. */
  readonly path: `/${string}`;
  /** A PlyboxError thrown before anything was written is answered as HTTP; after that the socket is destroyed. */
  handle(call: UpgradeCall): void | Promise<void>;
}

export interface UpgradesOptions {
  readonly gate: Gate;
  readonly routes: readonly UpgradeRoute[];
  /** What is answered for an error that is no PlyboxError. */
  readonly fail: (error: unknown) => PlyboxError;
  /** Who watches over every request, until it has left HTTP. */
  readonly observers?: readonly RequestObserver[];
}

interface Beginning {
  readonly route: UpgradeRoute;
  readonly errand: Errand;
  readonly params: PathParams;
  readonly note: (result: ObservedResult) => void;
}
type Asked = Pick<UpgradeCall, "incoming" | "socket" | "head"> & { readonly query: string };

/** Serves `Upgrade` requests, which Node hands over as bare sockets, under the same rules as all other requests. */
export class Upgrades {
  readonly #options: UpgradesOptions;
  readonly #open = new Set<Duplex>();
  readonly #stopping = sharedAbort();

  constructor(options: UpgradesOptions) {
    this.#options = options;
  }

  /** Whether there is anything at its path that can be upgraded; a server may ignore what it does not know. */
  serves({ url = "" }: IncomingMessage): boolean {
    const [path] = splitTarget(url);
    return this.#options.routes.some((route) => isAt(route.path, path));
  }

  /** Serves one that came to a listener with this guard. Never rejects. */
  async serve(incoming: IncomingMessage, socket: Duplex, head: Buffer, access: Access): Promise<void> {
    this.track(socket);
    const written = bytesWritten(socket);
    try {
      showToken(incoming);
      refuseStrangePage(incoming);
      if (this.#stopping.signal.aborted) throw new PlyboxError("daemon/stopping", "the daemon is stopping");
      await this.#dispatch(incoming, socket, head, access);
    } catch (error) {
      const known = this.#options.fail(error);
      if (bytesWritten(socket) === written) refuseUpgrade(socket, known);
      else socket.destroy();
    }
  }

  /** Counts a socket among those that `close` ends. */
  track(socket: Duplex): void {
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    // Without any listener a reset connection would end the process.
    socket.on("error", () => socket.destroy());
  }

  /** Ends every upgraded connection: politely, and after `graceMs` by force. */
  async close(graceMs: number): Promise<void> {
    this.#stopping.abort();
    const closed = [...this.#open].map((socket) => new Promise<void>((resolve) => socket.once("close", resolve)));
    for (const socket of this.#open) socket.end();
    const timer = setTimeout(() => {
      for (const socket of this.#open) socket.destroy();
    }, graceMs);
    await Promise.all(closed);
    clearTimeout(timer);
  }

  async #dispatch(incoming: IncomingMessage, socket: Duplex, head: Buffer, access: Access): Promise<void> {
    const { routes } = this.#options;
    const [path = "", query = ""] = splitTarget(incoming.url ?? "");
    const method = incoming.method ?? "GET";
    for (const route of routes) {
      const params = matchPath(route.path, path);
      if (params === undefined) continue;
      // What is open cannot be told from what only reads: every one is written down.
      const errand: Errand = { action: route.action, method, path: route.path, incoming, access, recorded: true };
      const request = { operation: route.action, method, path: route.path, header: headerOf(incoming) };
      await observe(this.#options.observers ?? [], request, (note) =>
        this.#begin({ route, errand, params, note }, { query, incoming, socket, head }),
      );
      return;
    }
    access.check(incoming.headers.authorization);
    throw new PlyboxError("route/not-found", `nothing at ${path} can be upgraded`);
  }

  async #begin({ route, errand, params, note }: Beginning, { query, incoming, socket, head }: Asked): Promise<void> {
    let result: Omit<ObservedResult, "status"> = {};
    try {
      const { principal, found } = this.#admit(errand, params.ref);
      result = { tenant: principal.tenant, sandbox: found };
      const call = { principal, query: new URLSearchParams(query), stopping: this.#stopping.signal };
      const named = found === undefined ? params : { ...params, ref: found };
      await route.handle({ ...call, params: named, incoming, socket, head });
      note({ ...result, status: 101 });
    } catch (error) {
      // Told to the log by whoever answers it.
      const code = error instanceof PlyboxError ? error.code : "internal";
      note({ ...result, status: ERRORS[code].http, code });
      throw error;
    }
  }

  #admit(errand: Errand, ref: string | undefined) {
    const { gate, fail } = this.#options;
    let principal: Principal | undefined;
    try {
      principal = gate.identify(errand);
      gate.admit(principal, errand);
      const found = ref === undefined ? undefined : gate.find(principal, ref).id;
      gate.record(errand, { principal, status: 101, ...(found !== undefined && { sandbox: found }) });
      return { principal, found };
    } catch (error) {
      const { code } = fail(error);
      gate.record(errand, { status: ERRORS[code].http, code, ...(principal && { principal }) });
      throw error;
    }
  }
}

/**
 * A browser's WebSocket sends no header of its choice but the names of protocols: `bearer.TOKEN` among them is the token.
 */
function showToken({ headers }: IncomingMessage): void {
  const [, token] = /(?:^|, *)bearer\.([A-Za-z0-9._~-]+)(?:$| *,)/.exec(headers["sec-websocket-protocol"] ?? "") ?? [];
  if (token !== undefined) headers.authorization ??= `Bearer ${token}`;
}

const headerOf =
  ({ headers }: IncomingMessage) =>
  (name: string): string | undefined =>
    headers[name]?.toString();

/**
 * A page of anybody's may open a WebSocket wherever its reader's browser gets to, such as a proxy before a Unix socket,
 * which asks for nothing: a page must show what nobody else knows.
 */
function refuseStrangePage({ headers }: IncomingMessage): void {
  if (headers.origin === undefined || headers.authorization !== undefined) return;
  throw new PlyboxError("auth/refused", "a request of a web page must show a token", { field: "origin" });
}

/** Path and query of a request target, as they came. */
function splitTarget(target: string): [path: string, query: string] {
  const mark = target.indexOf("?");
  return mark === -1 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)];
}

/** Earlier requests may have been answered on the same connection. */
const bytesWritten = (socket: Duplex): number => (socket instanceof Socket ? socket.bytesWritten : 0);

/** Answers in HTTP's words on a socket that has not left HTTP yet. */
export function refuseUpgrade(socket: Duplex, error: PlyboxError): void {
  const { http } = ERRORS[error.code];
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify({ error: errorView(error) });
  const challenge = http === 401 ? "www-authenticate: Bearer\r\n" : "";
  const head = `HTTP/1.1 ${http} ${STATUS_CODES[http] ?? "Refused"}\r\nconnection: close\r\n${challenge}`;
  socket.end(
    `${head}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    // What the client goes on sending is not read: a half-open connection would wait for it.
    () => socket.destroy(),
  );
}
