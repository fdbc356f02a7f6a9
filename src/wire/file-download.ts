import type { Writable } from "node:stream";
import { Readable } from "node:stream";
import { throwIfAborted, watchAbort } from "../base/abort.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Carry } from "../model/file-relay.ts";
import type { FileMessage } from "./file-messages.ts";
import { INITIAL_CREDIT, ReceiveWindow } from "./flow-control.ts";
import type { Channel, ChannelFrame, Link } from "./link.ts";
import { unexpected } from "./link.ts";
import { fileError } from "./peer-errors.ts";
import { PieceQueue } from "./piece-queue.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { ReceiveMemory } from "./receive-memory.ts";
import type { Reader } from "./strict-reader.ts";

const OUTPUT = 1;
/** What may be under way to a reader: enough that the agent never waits for one that reads on. */
const WINDOW_BYTES = 1_048_576;

/** How the answers of an operation are read. */
export interface DownloadReaders<Ack, Report> {
  readonly ack: Reader<Ack>;
  readonly report: Reader<Report>;
  /** Looks at what has come so far, and at the end at all of it; answers why it is not to be taken for the whole. */
  readonly check?: (received: number, ack: Ack, report: Report | undefined) => PlyboxError | undefined;
  /** Whether it is known only later who takes it: until then the agent sends no more than on any channel. */
  readonly isUndecided?: boolean;
}

/** Who goes on with a download that is large, and how large it is. */
export interface Passage {
  /** All of it. */
  readonly bytes: number;
  readonly carry: Carry;
}

export interface DownloadOptions<Ack, Report> {
  readonly link: Link;
  /** What the link receives into. */
  readonly memory: ReceiveMemory;
  readonly request: FileMessage;
  readonly readers: DownloadReaders<Ack, Report>;
}

/**
 * What the agent sends of a file operation. It ends only when the agent has reported that it is whole; what fails in
 * the middle is an error. A reader that stops holds back the agent. Destroying it ends the
 * operation.
 */
export class FileDownload<Ack, Report> extends Readable {
  readonly #opened: Deferred<FileDownload<Ack, Report>>;
  readonly #readers: DownloadReaders<Ack, Report>;
  readonly #memory: ReceiveMemory;
  readonly #link: Link;
  readonly #channel: Channel;
  readonly #window = new ReceiveWindow(WINDOW_BYTES);
  /** Received, not yet asked for. The window bounds it. */
  readonly #waiting: PieceQueue;
  #received = 0;
  #ack: { readonly value: Ack } | undefined;
  #report: { readonly value: Report } | undefined;
  #isWanted = false;
  /** Where everything goes instead, and what is to be called when it has. */
  #sink: { readonly stream: Writable; readonly done: () => void } | undefined;
  #awaitsDrain = false;
  #poured = 0;
  #isWide = false;
  #passage: Passage | undefined;
  readonly #lending = new AbortController();
  #hasEnded = false;
  #failure: PlyboxError | undefined;

  private constructor(
    { link, memory, request, readers }: DownloadOptions<Ack, Report>,
    opened: Deferred<FileDownload<Ack, Report>>,
  ) {
    super({ highWaterMark: 0 });
    this.#opened = opened;
    this.#readers = readers;
    this.#memory = memory;
    this.#waiting = new PieceQueue((bytes) => memory.hold(bytes));
    this.#link = link;
    const receive = (frame: ChannelFrame): void => this.#receive(frame);
    const fail = (error: PlyboxError): void => this.#fail(fileError(error));
    link.splitData();
    this.#channel = link.open(request, { receive, fail });
    if (readers.isUndecided !== true) this.#widen();
    // It may fail before its opener has had a turn to listen, and an error without any listener ends the process.
    this.on("error", () => {});
  }

  /**
   * Resolves when the operation has begun. An abort before that gives it up.
   * @throws PlyboxError `file/…`, or the signal's reason
   */
  static async open<Ack, Report>(
    options: DownloadOptions<Ack, Report>,
    signal?: AbortSignal,
  ): Promise<FileDownload<Ack, Report>> {
    throwIfAborted(signal);
    const opened = deferred<FileDownload<Ack, Report>>();
    const download = new FileDownload(options, opened);
    return watchAbort(opened.promise, signal, (reason) => {
      download.destroy();
      opened.reject(reason);
    });
  }

  /** What the agent said when it began. */
  get ack(): Ack {
    if (this.#ack === undefined) throw new PlyboxError("internal", "the operation has not begun");
    return this.#ack.value;
  }

  /** Bytes that have come so far, also to whoever went on with it. */
  get received(): number {
    return this.#received;
  }

  /** What the agent said at the end; undefined before the last byte has been read. */
  get report(): Report | undefined {
    return this.#report?.value;
  }

  /**
   * Writes everything to `sink`, past the queue of a stream; nobody reads it otherwise. Memory takes what comes next as
   * soon as the sink has let go of it. Resolves when all is written and whole; the sink is the caller's to end, or to
   * destroy where this rejects. What is behind the first bytes goes through `passage`, where one is given.
   */
  async pour(sink: Writable, passage?: Passage): Promise<void> {
    const poured = deferred<void>();
    const gone = (): void => void this.destroy(new PlyboxError("aborted", "the transfer was given up"));
    const closed = (): void => poured.reject(this.errored ?? new PlyboxError("aborted", "the transfer was given up"));
    // It may have failed before anybody could ask for it.
    if (this.closed) closed();
    else this.once("close", closed);
    sink.once("close", gone);
    this.#sink = { stream: sink, done: poured.resolve };
    if (passage === undefined || passage.bytes <= INITIAL_CREDIT) this.#widen();
    else this.#passage = passage;
    this.#deliver();
    if (sink.destroyed) gone();
    await poured.promise.finally(() => sink.off("close", gone));
    this.destroy();
  }

  override _read(): void {
    this.#widen();
    this.#isWanted = true;
    this.#deliver();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Whoever reads it has found that it is not what it should be.
    if (error instanceof ProtocolViolation) this.#link.accuse(error);
    this.#lending.abort();
    this.#channel.close();
    this.#waiting.clear();
    done(error);
  }

  #receive(frame: ChannelFrame): void {
    if (this.#ack === undefined) {
      if (frame.kind !== "ack") throw unexpected(frame);
      this.#ack = { value: this.#readers.ack(frame.json, "ack") };
      this.#opened.resolve(this);
    } else if (frame.kind === "data" || frame.kind === "end") {
      this.#receiveOutput(frame);
    } else if (frame.kind === "exit") {
      this.#finish(this.#readers.report(frame.json, "exit"));
    } else {
      throw unexpected(frame);
    }
  }

  #receiveOutput(frame: Extract<ChannelFrame, { kind: "data" | "end" }>): void {
    if (frame.stream !== OUTPUT || this.#hasEnded || frame.offset !== this.#received) {
      throw new ProtocolViolation("sequence", `stream ${frame.stream} does not go on at ${frame.offset}`);
    }
    if (frame.kind === "end") {
      this.#hasEnded = true;
    } else if (frame.bytes.length > 0) {
      this.#window.receive(frame.bytes.length);
      this.#received += frame.bytes.length;
      this.#check(undefined);
      this.#waiting.push(frame.bytes);
      this.#deliver();
    }
  }

  #finish(report: Report): void {
    if (!this.#hasEnded) throw new ProtocolViolation("sequence", "exit before the end of its stream");
    this.#check(report);
    if (this.#failure === undefined) this.#report = { value: report };
    this.#deliver();
  }

  #check(report: Report | undefined): void {
    if (this.#ack !== undefined) this.#failure = this.#readers.check?.(this.#received, this.#ack.value, report);
  }

  /** Hands on what is asked for, in order; the end or a failure comes when nothing is left before it. */
  #deliver(): void {
    if (this.#sink !== undefined) this.#write(this.#sink.stream);
    const bytes = this.#isWanted ? this.#waiting.take() : undefined;
    if (bytes !== undefined) {
      this.#isWanted = false;
      this.#grant(bytes.length);
      this.push(bytes);
    } else if (this.#waiting.bytes > 0) {
      return;
    } else if (this.#failure !== undefined) {
      this.destroy(this.#failure);
    } else if (this.#report !== undefined) {
      if (this.#sink !== undefined) this.#sink.done();
      else if (!this.readableEnded) this.push(null);
    }
  }

  /** The window bounds what the sink has not yet taken; of what is small it is given more at a time. */
  #write(sink: Writable): void {
    if (!this.#waiting.isLarge && sink.writableNeedDrain) {
      this.#onDrain(sink);
      return;
    }
    for (let bytes = this.#waiting.take(); bytes !== undefined; bytes = this.#waiting.take()) {
      const piece = bytes;
      sink.write(piece, () => {
        this.#memory.release(piece);
        this.#poured += piece.length;
        if (this.destroyed) return;
        if (this.#passage === undefined) this.#grant(piece.length);
        else if (this.#poured === INITIAL_CREDIT) void this.#lend(this.#passage);
      });
    }
  }

  /** The agent has sent what it may, so that nothing is on the way: here somebody else can go on. */
  async #lend({ bytes, carry }: Passage): Promise<void> {
    this.#passage = undefined;
    try {
      const connection = await this.#link.lend();
      if (connection !== undefined) {
        const { id: channel } = this.#channel;
        const [offset, { signal }] = [this.#received, this.#lending];
        const carried = await carry({ connection, channel, offset, credit: 0, bytes: bytes - offset, signal });
        this.#received += carried.moved;
        this.#window.resume(carried.credit);
        if (carried.end === "client") throw new PlyboxError("aborted", "the client went away");
        this.#link.takeBack();
        // An agent that has sent everything may be gone, and needs no credit.
        if (carried.end === "done") return;
      }
      this.#widen();
    } catch (error) {
      this.destroy(error instanceof Error ? error : undefined);
    }
  }

  /** Lets the agent send ahead of the reader. */
  #widen(): void {
    if (this.#isWide) return;
    this.#isWide = true;
    this.#grant(0);
  }

  #onDrain(sink: Writable): void {
    if (this.#waiting.bytes === 0 || this.#awaitsDrain) return;
    this.#awaitsDrain = true;
    sink.once("drain", () => {
      this.#awaitsDrain = false;
      if (!this.destroyed) this.#deliver();
    });
  }

  #grant(consumed: number): void {
    const bytes = this.#window.consume(consumed);
    if (bytes > 0) this.#channel.send({ kind: "credit", bytes });
  }

  #fail(error: PlyboxError): void {
    if (this.#report !== undefined) return;
    this.#failure = error;
    if (this.#ack === undefined) {
      this.#opened.reject(error);
      this.destroy();
    } else {
      this.#deliver();
    }
  }
}
