import { errorOfAnswer } from "./plybox-api-error.ts";
import type { ServerSentEvent } from "./server-sent-events.ts";
import { serverSentEvents } from "./server-sent-events.ts";
import type { BareConnection, Transport, TransportRequest, TransportResponse } from "./transport.ts";

/** What every call takes: an abort ends the waiting and throws the signal's reason. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

type Method = "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
/** Of a request that may be sent again. */
export interface RepeatableOptions extends CallOptions {
  readonly idempotencyKey?: string | undefined;
}

const keyHeader = ({ idempotencyKey }: RepeatableOptions): Record<string, string> =>
  idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };

/** Answers that have no body, which a Response refuses to be given. */
const EMPTY: ReadonlySet<number> = new Set([204, 205, 304]);

/** The API's conventions over a transport: token, JSON, events, errors. */
export class Connection {
  readonly #transport: Transport;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(transport: Transport, token: string | undefined) {
    this.#transport = transport;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** Sends JSON, or nothing, and reads JSON; an empty answer is undefined. */
  async json<T>(method: Method, path: string, body?: object, options: RepeatableOptions = {}): Promise<T> {
    const { headers, ...rest } = jsonBody(body);
    const response = await this.#send(
      method,
      path,
      { ...rest, headers: { ...headers, ...keyHeader(options) } },
      options,
    );
    const text = await response.text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Sends raw bytes. */
  async bytes(path: string, body: Uint8Array, options: CallOptions = {}): Promise<void> {
    const octets = { headers: { "content-type": "application/octet-stream" }, body };
    await (await this.#send("POST", path, octets, options)).text();
  }

  /** Sends JSON, or nothing, and reads server-sent events until the server ends them. */
  async events(
    method: Method,
    path: string,
    body?: object,
    options: RepeatableOptions = {},
  ): Promise<AsyncGenerator<ServerSentEvent>> {
    const { headers, ...rest } = jsonBody(body);
    const asked = { ...rest, headers: { ...headers, ...keyHeader(options), accept: "text/event-stream" } };
    const response = await this.#send(method, path, asked, options);
    return serverSentEvents(response.chunks());
  }

  /** Hands on a request that is not the daemon's own, and its answer whatever it is. */
  async respond(request: TransportRequest): Promise<Response> {
    // The daemon's token goes before an `authorization` of the caller's, which would not let it in.
    const sent = { "accept-encoding": "identity", ...request.headers, ...this.#headers };
    const { status, headers, chunks } = await this.#transport.send({ ...request, headers: sent });
    const body = EMPTY.has(status) || request.method === "HEAD" ? null : streamOf(chunks());
    return new Response(body, { status, headers: headers.map(([name, value]): [string, string] => [name, value]) });
  }

  /** Leaves HTTP; Node alone. */
  upgrade(path: string, protocol: string, { signal }: CallOptions): Promise<BareConnection> {
    return this.#transport.upgrade({ path, protocol, headers: this.#headers, ...(signal !== undefined && { signal }) });
  }

  /** Of the daemon on TCP. Throws a TypeError on a Unix socket. */
  get baseUrl(): string {
    const { baseUrl } = this.#transport;
    if (baseUrl === null) throw new TypeError("a Unix socket has no address; use fetch, forward or signUrl");
    return baseUrl;
  }

  /** Sends what is given as it is, and leaves it to the caller to read the answer. */
  async open(
    method: Method,
    path: string,
    asked: Pick<TransportRequest, "headers" | "body" | "bodyBytes">,
    options: CallOptions = {},
  ): Promise<TransportResponse> {
    return await this.#send(method, path, asked, options);
  }

  /** Drops idle connections. */
  close(): void {
    this.#transport.close();
  }

  async #send(
    method: Method,
    path: string,
    { headers, body, bodyBytes }: Pick<TransportRequest, "headers" | "body" | "bodyBytes">,
    { signal }: CallOptions,
  ): Promise<TransportResponse> {
    const response = await this.#transport.send({
      method,
      path,
      headers: { ...this.#headers, ...headers },
      ...(body !== undefined && { body }),
      ...(bodyBytes !== undefined && { bodyBytes }),
      ...(signal !== undefined && { signal }),
    });
    if (response.status >= 200 && response.status < 300) return response;
    throw errorOfAnswer(response.status, await response.text());
  }
}

/** Not every runtime can make a stream from an iterable by itself. */
function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

const jsonBody = (body: object | undefined): Pick<TransportRequest, "headers" | "body"> =>
  body === undefined
    ? { headers: {} }
    : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
