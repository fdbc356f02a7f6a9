import type { IncomingMessage, RequestOptions } from "node:http";
import { request } from "node:http";
import { connect } from "node:net";
import type { ApiSubject } from "./api.ts";

/** Where an API is, and what opens it. */
export type ApiAddress = Pick<ApiSubject, "socketPath" | "port" | "token">;

export interface Request {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON with its content type; anything else as it is. */
  readonly body?: object | string | Uint8Array;
  readonly via?: "unix" | "tcp";
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  /** The body as JSON; throws where it is not. */
  json<T = Record<string, unknown>>(): T;
}

/** One request on a connection of its own, as any HTTP client would send it. */
export async function send(api: ApiAddress, { method = "GET", path, headers, body, via }: Request): Promise<Answer> {
  const isJson = body !== undefined && typeof body !== "string" && !(body instanceof Uint8Array);
  const incoming = await open(api, {
    method,
    path,
    headers: { ...(isJson && { "content-type": "application/json" }), ...headers },
    body: isJson ? JSON.stringify(body) : body,
    via,
  });
  let text = "";
  for await (const piece of incoming.setEncoding("utf8")) text += piece;
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    text,
    json: <T>() => JSON.parse(text) as T,
  };
}

interface OpenRequest extends Omit<Request, "body" | "via"> {
  readonly body?: string | Uint8Array | undefined;
  readonly via?: "unix" | "tcp" | undefined;
}

/** The answer's head, with its body still to come. */
export function open(api: ApiAddress, { method, path, headers, body, via }: OpenRequest): Promise<IncomingMessage> {
  const address: RequestOptions =
    via === "tcp" ? { host: "127.0.0.1", port: api.port } : { socketPath: api.socketPath };
  return new Promise((resolve, reject) => {
    const sent = request({ ...address, method: method ?? "GET", path, headers: { ...headers }, agent: false });
    sent.on("response", resolve);
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Sends a request with a JSON body and waits for nothing; what it returns drops the connection. */
export function begin(api: ApiAddress, { method = "GET", path, body }: Request): () => void {
  const text = JSON.stringify(body);
  const head = `${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
  const socket = connect(api.socketPath);
  socket.write(`${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  return () => socket.destroy();
}

/** Writes bytes to a connection, ends it, and gives everything that came back until the server closed it. */
export function sendRaw(api: ApiAddress, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(api.socketPath, () => socket.end(bytes));
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (piece: string) => {
      text += piece;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

export interface SentEvent {
  readonly name: string;
  readonly id: string;
  readonly data: Record<string, unknown>;
}

/** Reads server-sent events as our server writes them, up to and with `last`, or to the end of the answer. */
export async function* sentEvents(incoming: IncomingMessage): AsyncGenerator<SentEvent> {
  let rest = "";
  for await (const piece of incoming.setEncoding("utf8")) {
    const blocks = (rest + piece).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const match = /^event: (.+)\nid: (.+)\ndata: (.+)$/.exec(block);
      if (match !== null) yield { name: match[1] ?? "", id: match[2] ?? "", data: JSON.parse(match[3] ?? "") };
      else if (!block.startsWith(":")) throw new Error(`not an event: ${block}`);
    }
  }
}
