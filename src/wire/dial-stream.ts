import { Duplex } from "node:stream";
import { throwIfAborted, watchAbort } from "../base/abort.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { DialTarget } from "../model/port.ts";
import { readDialReport } from "./agent-messages.ts";
import { ExecInput } from "./exec-input.ts";
import { ReceiveWindow } from "./flow-control.ts";
import type { Channel, ChannelFrame, Link } from "./link.ts";
import { unexpected } from "./link.ts";
import { readEmpty } from "./messages.ts";
import { PeerRefusal } from "./peer-errors.ts";
import { PieceQueue } from "./piece-queue.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

const FROM_TARGET = 1;

/**
 * A connection to what listens in a sandbox. Each side may end its direction before the other; a reader that stops
 * stops the target, and a target that stops makes `write` answer false. Errors: `port/reset` when the target broke it
 * off, `agent/unreachable` when the way to it ended.
 */
export class DialStream extends Duplex {
  readonly #opened: Deferred<DialStream>;
  readonly #channel: Channel;
  readonly #input: ExecInput;
  readonly #window = new ReceiveWindow();
  /** Received, not yet asked for. The agent's credit bounds it. */
  readonly #waiting = new PieceQueue();
  #received = 0;
  #isOpen = false;
  #isWanted = false;
  /** The target sends no more. */
  #hasEnded = false;
  /** Neither direction goes on. */
  #isOver = false;
  #failure: PlyboxError | undefined;

  private constructor(link: Link, target: DialTarget, opened: Deferred<DialStream>) {
    // Nothing is read ahead: a failure throws away what is buffered, and it must not overtake bytes.
    super({ allowHalfOpen: true, readableHighWaterMark: 0, writableHighWaterMark: 65_536 });
    this.#opened = opened;
    const receive = (frame: ChannelFrame): void => this.#receive(frame);
    const fail = (error: PlyboxError): void => this.#fail(error);
    this.#channel = link.open({ type: "dial", ...target }, { receive, fail });
    this.#input = new ExecInput(this.#channel);
    // It may break off before its opener has had a turn to listen, and an error without any listener ends the process.
    this.on("error", () => {});
  }

  /**
   * Resolves when the connection stands. An abort before that gives it up.
   * @throws PlyboxError `port/unreachable` where nothing accepts it, or the signal's reason
   */
  static async open(link: Link, target: DialTarget, signal?: AbortSignal): Promise<DialStream> {
    throwIfAborted(signal);
    const opened = deferred<DialStream>();
    const stream = new DialStream(link, target, opened);
    return watchAbort(opened.promise, signal, (reason) => {
      stream.destroy();
      opened.reject(reason);
    });
  }

  override _read(): void {
    this.#isWanted = true;
    this.#deliver();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#input.write(bytes).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#input.end().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.close();
    this.#waiting.clear();
    this.#input.stop(new PlyboxError("aborted", "the connection is closed"));
    done(error);
  }

  #receive(frame: ChannelFrame): void {
    if (!this.#isOpen) {
      if (frame.kind !== "ack") throw unexpected(frame);
      readEmpty(frame.json, "ack");
      this.#isOpen = true;
      this.#opened.resolve(this);
    } else if (frame.kind === "credit") {
      this.#input.grant(frame.bytes);
    } else if (frame.kind === "data" || frame.kind === "end") {
      this.#receiveFromTarget(frame);
    } else if (frame.kind === "exit") {
      readDialReport(frame.json, "exit");
      this.#hasEnded = true;
      this.#isOver = true;
      this.#input.stop();
      this.#deliver();
    } else {
      throw unexpected(frame);
    }
  }

  #receiveFromTarget(frame: Extract<ChannelFrame, { kind: "data" | "end" }>): void {
    if (frame.stream !== FROM_TARGET || this.#hasEnded || frame.offset !== this.#received) {
      throw new ProtocolViolation("sequence", `stream ${frame.stream} does not go on at ${frame.offset}`);
    }
    if (frame.kind === "end") this.#hasEnded = true;
    else if (frame.bytes.length > 0) {
      this.#window.receive(frame.bytes.length);
      this.#received += frame.bytes.length;
      this.#waiting.push(frame.bytes);
    }
    this.#deliver();
  }

  /** Hands on what is asked for, in order; an end or a failure comes when nothing is left before it. */
  #deliver(): void {
    const bytes = this.#isWanted ? this.#waiting.take() : undefined;
    if (bytes !== undefined) {
      this.#isWanted = false;
      const granted = this.#window.consume(bytes.length);
      if (granted > 0) this.#channel.send({ kind: "credit", bytes: granted });
      this.push(bytes);
    } else if (this.#waiting.bytes > 0) {
      return;
    } else if (this.#failure !== undefined) {
      this.destroy(this.#failure);
    } else if (this.#hasEnded) {
      this.#end();
    }
  }

  #end(): void {
    if (!this.readableEnded) this.push(null);
    // Whoever still writes learns that nobody takes it, but not before the last byte has been read.
    if (!this.#isOver) return;
    if (this.readableEnded) this.destroy();
    else this.once("end", () => process.nextTick(() => this.destroy()));
  }

  #fail(error: PlyboxError): void {
    if (!this.#isOpen) {
      this.#opened.reject(dialError(error));
      this.destroy();
      return;
    }
    this.#failure = brokenError(error);
    this.#input.stop(this.#failure);
    this.#deliver();
  }
}

/** What the agent's refusal of a dial means. */
function dialError(error: PlyboxError): PlyboxError {
  if (!(error.cause instanceof PeerRefusal)) return error;
  const { code } = error.cause;
  const detail = { ...(error.field !== undefined && { field: error.field }), cause: error };
  if (code === "bad-request" || code === "bad-address") return new PlyboxError("input/invalid", error.message, detail);
  return new PlyboxError("port/unreachable", `${error.message} (${code})`, detail);
}

const brokenError = (error: PlyboxError): PlyboxError =>
  error.cause instanceof PeerRefusal ? new PlyboxError("port/reset", error.message, { cause: error }) : error;
