import type { Writable } from "node:stream";
import { Readable } from "node:stream";
import { throwIfAborted, watchAbort } from "../base/abort.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { FileMessage } from "./file-messages.ts";
import { ReceiveWindow } from "./flow-control.ts";
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
    this.#grant(0);
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

  /** What the agent said at the end; undefined before the last byte has been read. */
  get report(): Report | undefined {
    return this.#report?.value;
  }

  /**
   * Writes everything to `sink`, past the queue of a stream; nobody reads it otherwise. Memory takes what comes next as
   * soon as the sink has let go of it. Resolves when all is written and whole; the sink is the caller's to end, or to
   * destroy where this rejects.
   */
  async pour(sink: Writable): Promise<void> {
    const poured = deferred<void>();
    const gone = (): void => void this.destroy(new PlyboxError("aborted", "the transfer was given up"));
    const closed = (): void => poured.reject(this.errored ?? new PlyboxError("aborted", "the transfer was given up"));
    // It may have failed before anybody could ask for it.
    if (this.closed) closed();
    else this.once("close", closed);
    sink.once("close", gone);
    this.#sink = { stream: sink, done: poured.resolve };
    this.#deliver();
    if (sink.destroyed) gone();
    await poured.promise.finally(() => sink.off("close", gone));
    this.destroy();
  }

  override _read(): void {
    this.#isWanted = true;
    this.#deliver();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Whoever reads it has found that it is not what it should be.
    if (error instanceof ProtocolViolation) this.#link.accuse(error);
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
        if (!this.destroyed) this.#grant(piece.length);
      });
    }
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
