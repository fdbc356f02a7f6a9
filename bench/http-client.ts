import { Agent, request } from "node:http";

export interface Answer {
  readonly body: Buffer;
  /** From before the request is made until the whole answer is here. */
  readonly ms: number;
}

/** HTTP over a Unix socket with as little between node:http and the clock as there can be. Connections are kept. */
export class HttpClient implements Disposable {
  readonly #agent: Agent;
  readonly #socketPath: string;

  /** @param connections how many at most; with one, requests wait for each other */
  constructor(socketPath: string, connections = 1) {
    this.#socketPath = socketPath;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections });
  }

  /** @throws Error with the status and the body of an answer of 400 and above */
  send(method: string, path: string, json?: Buffer): Promise<Answer> {
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath: this.#socketPath,
        agent: this.#agent,
        method,
        path,
        headers: json === undefined ? {} : { "content-type": "application/json", "content-length": json.length },
      });
      outgoing.on("error", reject);
      outgoing.on("response", (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("error", reject);
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => {
          const ms = performance.now() - began;
          const body = Buffer.concat(chunks);
          const status = incoming.statusCode ?? 0;
          if (status < 400) resolve({ body, ms });
          else reject(new Error(`${method} ${path} was answered ${status}: ${body}`));
        });
      });
      outgoing.end(json);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

export const jsonBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
