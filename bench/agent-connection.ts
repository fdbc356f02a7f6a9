import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import type { Deferred } from "../src/base/deferred.ts";
import { deferred } from "../src/base/deferred.ts";
import type { SandboxId } from "../src/model/ids.ts";
import type { FrameKind, JsonObject } from "../src/wire/frame.ts";
import { encodeFrame } from "../src/wire/frame.ts";
import { FrameDecoder } from "../src/wire/frame-decoder.ts";

interface Arrival {
  readonly kind: FrameKind;
  readonly json: JsonObject | undefined;
  /** When it was decoded, so that whoever waits for it adds nothing. */
  readonly at: number;
}

const OF_A_STREAM: readonly FrameKind[] = ["data", "end", "credit"];

/** Frames on a socket to an agent, one request at a time, with nothing between them and the clock. */
export class AgentConnection implements Disposable {
  readonly #socket: Socket;
  readonly #arrivals: Arrival[] = [];
  #waiting: Deferred<Arrival> | undefined;
  #failure: Error | undefined;
  #channel = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const decoder = new FrameDecoder((frame) => {
      if (OF_A_STREAM.includes(frame.kind)) return;
      this.#arrive({ kind: frame.kind, json: "json" in frame ? frame.json : undefined, at: performance.now() });
    });
    socket.on("data", (chunk: Buffer) => decoder.push(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the agent hung up")));
  }

  static async open(socketPath: string, sandbox: SandboxId): Promise<AgentConnection> {
    const socket = connect(socketPath);
    await once(socket, "connect");
    const connection = new AgentConnection(socket);
    const hello = { generation: 1, role: "host", sandbox, incarnation: 1 };
    socket.write(encodeFrame({ kind: "hello", channel: 0, json: hello }));
    await connection.next("hello");
    return connection;
  }

  /** Milliseconds from before the request is encoded until its ack is decoded. */
  async request(json: JsonObject): Promise<number> {
    this.#channel += 1;
    const began = performance.now();
    this.#socket.write(encodeFrame({ kind: "open", channel: this.#channel, json }));
    return (await this.next("ack")).at - began;
  }

  /** The next frame that is no part of a stream, which must be of this kind. */
  async next(kind: FrameKind): Promise<Arrival> {
    const arrival = this.#arrivals.shift() ?? (await this.#wait());
    if (arrival.kind === kind) return arrival;
    throw new Error(`the agent sent ${arrival.kind} ${JSON.stringify(arrival.json)}, not ${kind}`);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #wait(): Promise<Arrival> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#waiting = deferred();
    return await this.#waiting.promise;
  }

  #arrive(arrival: Arrival): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#arrivals.push(arrival);
    else waiting.resolve(arrival);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}
