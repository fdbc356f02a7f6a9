import type { EventEmitter } from "node:events";
import type { Duplex, Readable, Writable } from "node:stream";
import { throwIfAborted, watchAbort } from "../base/abort.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Frame } from "./frame.ts";
import { encodeDataHead, encodeFrame } from "./frame.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import type { PeerHello } from "./messages.ts";
import { GENERATION, readError, readHello } from "./messages.ts";
import type { Peer } from "./peer-errors.ts";
import { connectionRefusal, refusal, unreachable, violation } from "./peer-errors.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import { isVoid, StrayFrames } from "./stray-frames.ts";
import type { Reader } from "./strict-reader.ts";

const MAX_CHANNEL = 2 ** 32 - 1;
/** From here on copying costs more than a write of its own. */
const LARGE_BYTES = 4096;
/** A peer that leaves this much unread has stopped listening; buffering on would take the daemon's memory. */
const MAX_UNSENT_BYTES = 32 * 1024 * 1024;
/** After so many frames the other connections have their turn: a peer that sends the smallest holds up nobody long. */
const FRAMES_A_TURN = 4096;

export interface LinkOptions {
  /** What the peer sends; may be the same stream as `output`. The link owns both. */
  readonly input: Readable;
  readonly output: Writable;
  readonly peer: Peer;
  /** Whom the link is meant for; `""` and 0 for the launcher. */
  readonly sandbox: string;
  readonly incarnation: number;
  /** How long the peer may take to say hello; without end by default. */
  readonly patienceMs?: number;
}

export interface RequestOptions {
  /** Its abort stops the waiting, not what the peer does. */
  readonly signal?: AbortSignal | undefined;
  /** How long the peer may take to answer; without end by default. */
  readonly patienceMs?: number;
}

/** What a peer may send on a channel that is open; its `error` arrives at `fail`. */
export type ChannelFrame = Exclude<Frame, { kind: "hello" | "open" | "close" | "error" }>;

/** Gets what arrives on one channel. */
export interface ChannelHandler {
  /** `exit` is the last frame. A ProtocolViolation thrown here ends the link. */
  receive(frame: ChannelFrame): void;
  /** The peer's refusal or the end of the link; nothing comes after it. */
  fail(error: PlyboxError): void;
}

type WithoutChannel<T> = T extends Frame ? Omit<T, "channel"> : never;

/** One channel as its opener holds it; sending after its end does nothing. */
export interface Channel {
  /** Its number in frames. */
  readonly id: number;
  /** `taken` is called when the frame's bytes are needed no more, perhaps at once; not where the channel has ended. */
  send(frame: WithoutChannel<Extract<Frame, { kind: "data" | "end" | "credit" }>>, taken?: () => void): void;
  /** Resolves when the transport takes more; undefined when it does already. */
  drained(): Promise<void> | undefined;
  /** Stops listening: the handler gets nothing more. Idempotent. */
  close(): void;
}

/** One connection to an agent or to the launcher, shared by any number of channels. */
export class Link implements Disposable {
  /** What the peer said of itself; rejects when the link ends before. */
  readonly hello: Promise<PeerHello>;
  /** Why the link ended; never rejects. */
  readonly ended: Promise<PlyboxError>;

  readonly #options: LinkOptions;
  readonly #hello = deferred<PeerHello>();
  readonly #ended = deferred<PlyboxError>();
  readonly #unlisten: (() => void)[] = [];
  readonly #decoder = new FrameDecoder((frame) => this.#dispatch(frame));
  readonly #channels = new Map<number, ChannelHandler>();
  readonly #stray = new StrayFrames();
  readonly #greeting: NodeJS.Timeout | undefined;
  #framesThisTurn = 0;
  #lastChannel = 0;
  #hasWrapped = false;
  #isGreeted = false;
  #isCorked = false;
  #isLent = false;
  #drain: Deferred<void> | undefined;
  #failure: PlyboxError | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.hello = this.#hello.promise;
    this.ended = this.#ended.promise;
    // Whoever needs the hello awaits it; for the others the failure of their own request says it all.
    this.hello.catch(() => {});
    this.#listen();
    const { sandbox, incarnation, patienceMs } = options;
    this.#greeting = this.#after(patienceMs, () => this.#fail(this.#overdue(patienceMs)));
    const json = { generation: GENERATION, role: "host", sandbox, incarnation };
    this.#write(encodeFrame({ kind: "hello", channel: 0, json }));
  }

  /**
   * Opens a channel. The peer's `ack` comes to the handler.
   * @throws PlyboxError what ended the link, or `input/too-large`
   */
  open(request: { readonly type: string }, handler: ChannelHandler): Channel {
    if (this.#failure !== undefined) throw this.#failure;
    const channel = this.#freeChannel();
    const opening = encodeFrame({ kind: "open", channel, json: request });
    this.#channels.set(channel, handler);
    this.#write(opening);
    const isOpen = () => this.#channels.get(channel) === handler;
    return {
      id: channel,
      send: (frame, taken) => {
        if (!isOpen()) return;
        // What is sent is not copied behind its head: the transport writes both in one call.
        if (frame.kind === "data" && frame.bytes.length >= LARGE_BYTES) {
          const { stream, offset, bytes } = frame;
          this.#write(encodeDataHead({ channel, stream, offset }, bytes.length));
          this.#write(bytes, taken);
        } else {
          this.#write(encodeFrame({ ...frame, channel }));
          taken?.();
        }
      },
      drained: () => this.#drained(),
      close: () => {
        if (!isOpen()) return;
        this.#channels.delete(channel);
        this.#stray.closed();
        this.#write(encodeFrame({ kind: "close", channel }));
      },
    };
  }

  /**
   * Asks for something that is answered by `ack` alone.
   * @throws PlyboxError the peer's refusal, what ended the link, `agent/unreachable` where it has not answered in time,
   *   or `input/too-large`; or the signal's reason
   */
  async request<T>(
    request: { readonly type: string },
    read: Reader<T>,
    { signal, patienceMs }: RequestOptions = {},
  ): Promise<T> {
    throwIfAborted(signal);
    const answer = deferred<T>();
    const channel = this.open(request, {
      receive: (frame) => {
        if (frame.kind !== "ack") throw unexpected(frame);
        answer.resolve(read(frame.json, "ack"));
        this.#over(frame.channel);
      },
      fail: answer.reject,
    });
    const giveUp = (reason: unknown): void => {
      channel.close();
      answer.reject(reason);
    };
    const timer = this.#after(patienceMs, () => giveUp(this.#overdue(patienceMs)));
    return watchAbort(answer.promise, signal, giveUp).finally(() => clearTimeout(timer));
  }

  /** From now on data comes as it arrives, one frame of the peer's as several. */
  splitData(): void {
    this.#decoder.splitsData = true;
  }

  /**
   * The connection, for somebody else to go on with at the edge of a frame: all that was sent has gone out, and nothing is
   * read until `takeBack`. Undefined where a frame has come in part. Only for a connection that is a single stream of
   * Node's own memory, which stops reading at once.
   * @throws PlyboxError what ended the link
   */
  async lend(): Promise<Duplex | undefined> {
    const { input, output } = this.#options;
    this.#isLent = true;
    input.pause();
    await new Promise<void>((resolve) => output.write("", () => resolve()));
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#decoder.midFrame) return output as Duplex;
    this.takeBack();
    return undefined;
  }

  /** Goes on where the borrower has left the connection. */
  takeBack(): void {
    this.#isLent = false;
    if (this.#failure === undefined) this.#options.input.resume();
  }

  /** Ends the link because of something that the peer sent and that only its reader could judge. */
  accuse(cause: ProtocolViolation): void {
    this.#fail(violation(this.#options.peer, cause));
  }

  /** Ends the link; every open channel fails with `agent/unreachable` (`launcher/failed`), or with `reason`. Idempotent. */
  close(reason: PlyboxError = unreachable(this.#options.peer, "the link was closed")): void {
    this.#fail(reason);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #listen(): void {
    const { input, output, peer } = this.#options;
    const on = (emitter: EventEmitter, event: string, listener: (value: unknown) => void) => {
      emitter.on(event, listener);
      this.#unlisten.push(() => emitter.off(event, listener));
    };
    const gone = () =>
      this.#fail(unreachable(peer, this.#decoder.midFrame ? "it hung up inside a frame" : "it hung up"));
    const broken = (cause: unknown) =>
      this.#fail(unreachable(peer, cause instanceof Error ? cause.message : String(cause), cause));
    on(input, "data", (chunk) => this.#receive(chunk as Buffer));
    on(input, "end", gone);
    on(output, "drain", () => this.#wake());
    for (const stream of new Set([input, output])) {
      on(stream, "error", broken);
      on(stream, "close", gone);
      // A destroyed stream may still report an error, which without any listener would end the process.
      stream.on("error", () => {});
    }
  }

  #receive(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      if (error instanceof ProtocolViolation) this.#fail(violation(this.#options.peer, error));
      else this.#fail(new PlyboxError("internal", "a frame could not be handled", { cause: error }));
    }
    if (this.#framesThisTurn >= FRAMES_A_TURN && this.#failure === undefined) this.#takeTurns();
  }

  #takeTurns(): void {
    const { input } = this.#options;
    input.pause();
    setImmediate(() => {
      this.#framesThisTurn = 0;
      if (this.#failure === undefined && !this.#isLent) input.resume();
    });
  }

  #dispatch(frame: Frame): void {
    this.#framesThisTurn += 1;
    if (frame.channel === 0) this.#receiveOnConnection(frame);
    else this.#receiveOnChannel(frame);
  }

  #receiveOnChannel(frame: Frame): void {
    if (!this.#isGreeted) throw new ProtocolViolation("sequence", `${frame.kind} before hello`);
    if (frame.kind === "hello" || frame.kind === "open" || frame.kind === "close") throw unexpected(frame);
    if (frame.channel > this.#lastChannel && !this.#hasWrapped) {
      throw new ProtocolViolation("sequence", `${frame.kind} on channel ${frame.channel}, which was never opened`);
    }
    const handler = this.#channels.get(frame.channel);
    // What crosses the end of its channel is still checked by the codec, and then of no use.
    if (handler === undefined || isVoid(frame)) this.#stray.pass(frame);
    if (handler === undefined) return;
    if (frame.kind === "error") {
      const error = refusal(this.#options.peer, readError(frame.json, "error"));
      this.#over(frame.channel);
      handler.fail(error);
    } else {
      handler.receive(frame);
      if (frame.kind === "exit") this.#over(frame.channel);
    }
  }

  /** The peer has ended a channel. */
  #over(channel: number): void {
    if (this.#channels.delete(channel)) this.#stray.ended();
  }

  #receiveOnConnection(frame: Frame): void {
    if (frame.kind === "error") {
      this.#fail(connectionRefusal(this.#options.peer, readError(frame.json, "error")));
      return;
    }
    if (frame.kind !== "hello" || this.#isGreeted) throw unexpected(frame);
    const hello = readHello(frame.json, "hello");
    const { peer, sandbox, incarnation } = this.#options;
    if (hello.role !== peer || hello.sandbox !== sandbox || hello.incarnation !== incarnation) {
      throw new ProtocolViolation(
        "sequence",
        `${hello.role} of ${JSON.stringify(hello.sandbox)}, incarnation ${hello.incarnation}, answers ` +
          `instead of ${peer} of ${JSON.stringify(sandbox)}, incarnation ${incarnation}`,
      );
    }
    this.#isGreeted = true;
    clearTimeout(this.#greeting);
    this.#hello.resolve(hello);
  }

  #freeChannel(): number {
    do {
      if (this.#lastChannel === MAX_CHANNEL) this.#hasWrapped = true;
      this.#lastChannel = (this.#lastChannel % MAX_CHANNEL) + 1;
    } while (this.#channels.has(this.#lastChannel));
    return this.#lastChannel;
  }

  #write(bytes: Uint8Array, taken?: () => void): void {
    if (this.#failure !== undefined) return;
    const { output, peer } = this.#options;
    if (!this.#isCorked) {
      // What one turn of the event loop sends goes out in one system call.
      this.#isCorked = true;
      output.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        output.uncork();
        if (output.writableLength > MAX_UNSENT_BYTES) this.#fail(unreachable(peer, "it has stopped reading"));
      });
    }
    output.write(bytes, taken);
  }

  #drained(): Promise<void> | undefined {
    if (this.#failure !== undefined || !this.#options.output.writableNeedDrain) return undefined;
    this.#drain ??= deferred();
    return this.#drain.promise;
  }

  #after(ms: number | undefined, call: () => void): NodeJS.Timeout | undefined {
    return ms === undefined ? undefined : setTimeout(call, ms).unref();
  }

  #overdue(patienceMs = 0): PlyboxError {
    return unreachable(this.#options.peer, `it has not answered for ${patienceMs} ms`);
  }

  #wake(): void {
    this.#drain?.resolve();
    this.#drain = undefined;
  }

  #fail(error: PlyboxError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#greeting);
    for (const unlisten of this.#unlisten) unlisten();
    this.#options.input.destroy();
    this.#options.output.destroy();
    this.#hello.reject(error);
    this.#ended.resolve(error);
    this.#wake();
    const handlers = [...this.#channels.values()];
    this.#channels.clear();
    for (const handler of handlers) handler.fail(error);
  }
}

/** What a handler throws on a kind that its channel does not carry. */
export function unexpected(frame: { readonly kind: string; readonly channel: number }): ProtocolViolation {
  return new ProtocolViolation("sequence", `${frame.kind} is out of place on channel ${frame.channel}`);
}
