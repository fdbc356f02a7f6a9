import { errorOfAnswer } from "./plybox-api-error.ts";
import type { ServerSentEvent } from "./server-sent-events.ts";
import { serverSentEvents } from "./server-sent-events.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";

/** What every call takes: an abort ends the waiting and throws the signal's reason. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

type Method = TransportRequest["method"];

/** The API's conventions over a transport: token, JSON, events, errors. */
export class Connection {
  readonly #transport: Transport;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(transport: Transport, token: string | undefined) {
    this.#transport = transport;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** Sends JSON, or nothing, and reads JSON; an empty answer is undefined. */
  async json<T>(method: Method, path: string, body?: object, options: CallOptions = {}): Promise<T> {
    const response = await this.#send(method, path, jsonBody(body), options);
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
    options: CallOptions = {},
  ): Promise<AsyncGenerator<ServerSentEvent>> {
    const { headers, ...rest } = jsonBody(body);
    const asked = { ...rest, headers: { ...headers, accept: "text/event-stream" } };
    const response = await this.#send(method, path, asked, options);
    return serverSentEvents(response.chunks());
  }

  /** Drops idle connections. */
  close(): void {
    this.#transport.close();
  }

  async #send(
    method: Method,
    path: string,
    { headers, body }: Pick<TransportRequest, "headers" | "body">,
    { signal }: CallOptions,
  ): Promise<TransportResponse> {
    const response = await this.#transport.send({
      method,
      path,
      headers: { ...this.#headers, ...headers },
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    });
    if (response.status >= 200 && response.status < 300) return response;
    throw errorOfAnswer(response.status, await response.text());
  }
}

const jsonBody = (body: object | undefined): Pick<TransportRequest, "headers" | "body"> =>
  body === undefined
    ? { headers: {} }
    : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
