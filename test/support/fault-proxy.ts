import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

/** What happens to a request on its way, or to its answer. */
export type Fault =
  | { readonly kind: "status"; readonly status: number }
  /** The request reaches the server, and its answer nobody. */
  | { readonly kind: "lose-answer" }
  /** The connection is cut after so many bytes of the answer's body. */
  | { readonly kind: "cut-answer"; readonly after: number }
  /** The connection is cut before the server has heard of it. */
  | { readonly kind: "cut-request" }
  /** One bit of the byte at this place is other than it was sent. */
  | { readonly kind: "alter-request" | "alter-answer"; readonly at: number }
  /** The answer stands still after so many bytes. */
  | { readonly kind: "stall-answer"; readonly after: number };

/** One request that came by. */
export interface Passed {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly range: string | undefined;
}

/** Stands between a client and a server of HTTP and does to requests what `fault` says. */
export class FaultProxy implements AsyncDisposable {
  readonly endpoint: string;
  /** All that came by, in their order. */
  readonly passed: Passed[] = [];
  /** Those whose answers are on their way back whole. */
  readonly answered: Passed[] = [];
  fault: (passed: Passed) => Fault | undefined | Promise<Fault | undefined> = () => undefined;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });

  static async between(target: string): Promise<FaultProxy> {
    const proxy: { current?: FaultProxy } = {};
    const server = createServer((incoming, outgoing) => {
      proxy.current?.pass(new URL(target), incoming, outgoing).catch(() => outgoing.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    proxy.current = new FaultProxy(server);
    return proxy.current;
  }

  private constructor(server: Server) {
    this.#server = server;
    this.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Fails the first requests that `matches`, then none. */
  failFirst(count: number, fault: Fault, matches: (passed: Passed) => boolean = () => true): void {
    let left = count;
    this.fault = (passed) => (matches(passed) && left-- > 0 ? fault : undefined);
  }

  private async pass(target: URL, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = incoming;
    const { pathname, searchParams } = new URL(url, "http://any");
    const passed = { method, path: pathname, query: searchParams, range: headers.range };
    this.passed.push(passed);
    const fault = await this.fault(passed);
    if (fault?.kind === "cut-request") return void incoming.socket.destroy();
    if (fault?.kind === "status") {
      incoming.resume();
      await once(incoming, "end");
      return void outgoing.writeHead(fault.status, { "content-length": "0" }).end();
    }
    const forwarded = request({
      agent: this.#agent,
      host: target.hostname,
      port: target.port,
      method,
      path: url,
      headers,
    });
    const answered = once(forwarded, "response") as Promise<[IncomingMessage]>;
    answered.catch(() => {});
    await pipeline(incoming, altering(fault, "alter-request"), forwarded);
    const [answer] = await answered;
    if (fault?.kind === "lose-answer") {
      answer.resume();
      await once(answer, "end");
      return void outgoing.destroy();
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    if (fault?.kind === "cut-answer" || fault?.kind === "stall-answer") {
      const cut = fault.kind === "cut-answer";
      return void answer.pipe(stopping(fault.after, () => cut && outgoing.destroy())).pipe(outgoing);
    }
    await pipeline(answer, altering(fault, "alter-answer"), outgoing);
    this.answered.push(passed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await closed;
  }
}

function altering(fault: Fault | undefined, kind: "alter-request" | "alter-answer"): Transform {
  let place = fault?.kind === kind ? fault.at : Number.NaN;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (place >= 0 && place < chunk.length) chunk[place] = (chunk[place] ?? 0) ^ 1;
      place -= chunk.length;
      done(null, chunk);
    },
  });
}

/** Lets so many bytes pass, and then no more. */
function stopping(after: number, onStop: () => void): Transform {
  let left = after;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const part = chunk.subarray(0, Math.max(left, 0));
      left -= chunk.length;
      if (left > 0) return done(null, part);
      this.push(part);
      // What was passed on is to arrive before the line is cut.
      setImmediate(onStop);
    },
  });
}
