import type {
  CreatePortTokenBody,
  NewPortTokenView,
  PortList,
  PortTokenList,
  PortTokenView,
  SignedUrlView,
  SignUrlBody,
} from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { PlyboxApiError } from "./plybox-api-error.ts";
import type { ForwardOptions, PortForward } from "./port-forward.ts";
import { forwardPort } from "./port-forward.ts";
import type { BareConnection } from "./transport.ts";
import { webStreamsOf } from "./web-streams.ts";

/** A TCP port on the sandbox's loopback, or a Unix socket by its absolute path inside. */
export type DialTarget = number | { readonly port: number; readonly host?: string } | { readonly socket: string };

export type ListeningPort = PortList["ports"][number];
export type PortToken = PortTokenView;
export type NewPortToken = NewPortTokenView;
export type SignedUrl = SignedUrlView;

export interface WaitForPortOptions extends CallOptions {
  /** 30,000 by default. */
  readonly timeoutMs?: number;
}

/** The bare bytes of a connection inside; closing `writable` leaves `readable` open. */
export interface PortConnection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** Breaks it off. Idempotent. */
  close(): void;
}

/** One question of `waitFor`: what is between here and the daemon may end a connection on which nothing is said. */
const WAIT_MS = 20_000;
const PROTOCOL = "plybox-stream";

/** What listens inside a sandbox. */
export class Ports {
  readonly #connection: Connection;
  readonly #path: string;

  /** @param sandboxPath path of the sandbox, such as `/v1/sandboxes/web` */
  constructor(connection: Connection, sandboxPath: string) {
    this.#connection = connection;
    this.#path = sandboxPath;
  }

  /** The TCP ports that something listens on, by number. */
  async list(options?: CallOptions): Promise<readonly ListeningPort[]> {
    return (await this.#connection.json<PortList>("GET", `${this.#path}/ports`, undefined, options)).ports;
  }

  /** Resolves when something listens on the port; throws `port/not-ready` when nothing does in time. */
  async waitFor(port: number, { timeoutMs = 30_000, signal }: WaitForPortOptions = {}): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(0, Math.round(deadline - performance.now()));
      const path = `${this.#path}/ports?wait=${port}&timeoutMs=${Math.min(leftMs, WAIT_MS)}`;
      try {
        await this.#connection.json("GET", path, undefined, { signal });
        return;
      } catch (error) {
        const isEarly = error instanceof PlyboxApiError && error.code === "port/not-ready" && leftMs > WAIT_MS;
        if (!isEarly) throw error;
      }
    }
  }

  /**
   * Asks the HTTP server on a port. As the global `fetch`, but that a redirect is an answer like any other, and that the
   * body is sent when all of it is there.
   */
  async fetch(port: number, path: string, init?: RequestInit): Promise<Response> {
    const { signal, ...rest } = init ?? {};
    const request = new Request(`http://inside${path}`, rest);
    const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
    return await this.#connection.respond({
      method: request.method,
      path: `${this.#path}/ports/${port}${path}`,
      headers: Object.fromEntries(request.headers),
      ...(body !== undefined && { body }),
      ...(signal != null && { signal }),
    });
  }

  /** The address of a port on the daemon, for those who have its token. Throws a TypeError on a Unix socket. */
  url(port: number, path = "/"): string {
    return `${this.#connection.baseUrl}${this.#path}/ports/${port}${path}`;
  }

  /** An address that opens a port for a time to whoever has it. */
  async signUrl(grant: SignUrlBody, options?: CallOptions): Promise<SignedUrl> {
    return await this.#connection.json("POST", `${this.#path}/signed-urls`, grant, options);
  }

  /** A token that opens one port to whoever has it. */
  async createToken(spec: CreatePortTokenBody, options?: CallOptions): Promise<NewPortToken> {
    return await this.#connection.json("POST", `${this.#path}/port-tokens`, spec, options);
  }

  async tokens(options?: CallOptions): Promise<readonly PortToken[]> {
    return (await this.#connection.json<PortTokenList>("GET", `${this.#path}/port-tokens`, undefined, options)).tokens;
  }

  /** @param id of the token, not the token itself */
  async revokeToken(id: string, options?: CallOptions): Promise<void> {
    await this.#connection.json("DELETE", `${this.#path}/port-tokens/${encodeURIComponent(id)}`, undefined, options);
  }

  /** Connects to what listens. Node alone. */
  async dial(target: DialTarget, options?: CallOptions): Promise<PortConnection> {
    const duplex = await this.#open(target, options);
    return { ...webStreamsOf(duplex), close: () => void duplex.destroy() };
  }

  /** Listens on a port of this machine, 0 for a free one, and connects whoever comes to `target`. Node alone. */
  forward(localPort: number, target: DialTarget, options?: ForwardOptions): Promise<PortForward> {
    return forwardPort(localPort, () => this.#open(target), options);
  }

  #open(target: DialTarget, { signal }: CallOptions = {}): Promise<BareConnection> {
    const fields = typeof target === "number" ? { port: target } : target;
    const query = new URLSearchParams(
      Object.entries(fields).map(([name, value]): [string, string] => [name, String(value)]),
    );
    return this.#connection.upgrade(`${this.#path}/dial?${query}`, PROTOCOL, { signal });
  }
}
