import type { IncomingHttpHeaders, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Respond = (request: Received, response: ServerResponse) => void;

/** An HTTP server that keeps what it is sent; how it answers can be changed at any time. */
export class Receiver implements AsyncDisposable {
  readonly requests: Received[] = [];
  respond: Respond;
  readonly #server: Server;
  #waiting: (() => void)[] = [];

  private constructor(respond: Respond) {
    this.respond = respond;
    this.#server = createServer((incoming, response) => {
      void (async () => {
        const pieces: Buffer[] = [];
        for await (const piece of incoming) pieces.push(piece as Buffer);
        const { method = "", url: path = "", headers } = incoming;
        const received = { method, path, headers, body: Buffer.concat(pieces).toString() };
        this.requests.push(received);
        this.respond(received, response);
        for (const wake of this.#waiting.splice(0)) wake();
      })().catch(() => {}); // A sender that goes away in the middle is as good as one that never came.
    });
  }

  static async start(respond: Respond = (_request, response) => response.writeHead(204).end()): Promise<Receiver> {
    const receiver = new Receiver(respond);
    await new Promise<void>((resolve) => receiver.#server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when `holds` does, which is asked after each request. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}
