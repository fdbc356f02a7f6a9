import { Writable } from "node:stream";
import { throwIfAborted, watchAbort } from "../base/abort.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { giveBack } from "../base/give-back.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Carried, Carry } from "../model/file-relay.ts";
import { ExecInput } from "./exec-input.ts";
import type { FileMessage } from "./file-messages.ts";
import type { Channel, ChannelFrame, Link } from "./link.ts";
import { unexpected } from "./link.ts";
import { readEmpty } from "./messages.ts";
import { fileError } from "./peer-errors.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { Reader } from "./strict-reader.ts";

export interface UploadReaders<Report> {
  readonly report: Reader<Report>;
  readonly check?: (sent: number, report: Report) => boolean;
}

/**
 * What the agent is sent for a file operation. It has finished only when the agent has reported that all is done;
 * `write` answers false while the agent has enough, and takes the bytes for good: once sent they are freed. Destroying it before that ends the operation.
 */
export class FileUpload<Report> extends Writable {
  readonly #opened: Deferred<FileUpload<Report>>;
  readonly #readers: UploadReaders<Report>;
  readonly #link: Link;
  readonly #channel: Channel;
  readonly #input: ExecInput;
  readonly #lending = new AbortController();
  readonly #done = deferred<Report>();
  #sent = 0;
  #isOpen = false;
  #hasEnded = false;

  private constructor(
    link: Link,
    request: FileMessage,
    readers: UploadReaders<Report>,
    opened: Deferred<FileUpload<Report>>,
  ) {
    super({ highWaterMark: 262_144 });
    this.#opened = opened;
    this.#readers = readers;
    const receive = (frame: ChannelFrame): void => this.#receive(frame);
    const fail = (error: PlyboxError): void => this.#fail(fileError(error));
    this.#link = link;
    this.#channel = link.open(request, { receive, fail });
    this.#input = new ExecInput(this.#channel);
    // Whoever writes learns of a failure by its own error; the report need not be asked for.
    this.#done.promise.catch(() => {});
    this.on("error", () => {});
  }

  /**
   * Resolves when the agent takes bytes. An abort before that gives it up.
   * @throws PlyboxError `file/…`, or the signal's reason
   */
  static async open<Report>(
    link: Link,
    request: FileMessage,
    readers: UploadReaders<Report>,
    signal?: AbortSignal,
  ): Promise<FileUpload<Report>> {
    throwIfAborted(signal);
    const opened = deferred<FileUpload<Report>>();
    const upload = new FileUpload(link, request, readers, opened);
    return watchAbort(opened.promise, signal, (reason) => {
      upload.destroy();
      opened.reject(reason);
    });
  }

  /** What was done, once all of it is; rejects when it fails. */
  get report(): Promise<Report> {
    return this.#done.promise;
  }

  /**
   * Has `carry` send the next `bytes` bytes in place of `write`, behind what has been written; answers how that ended.
   * Undefined where the connection cannot be lent now: they are to be written then.
   */
  async lend(bytes: number, carry: Carry): Promise<Carried | undefined> {
    const connection = await this.#link.lend();
    if (connection === undefined) return undefined;
    const { signal } = this.#lending;
    const carried = await carry({ connection, channel: this.#channel.id, ...this.#input.position, bytes, signal });
    this.#sent += carried.moved;
    this.#input.passed(carried.moved, carried.credit);
    this.#link.takeBack();
    return carried;
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#sent += bytes.length;
    const taken = (): void => giveBack(bytes);
    if (this.#input.writeNow(bytes, taken)) done();
    else this.#input.write(bytes, taken).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#hasEnded = true;
    this.#input.end().then(
      () => this.#done.promise.then(() => done(), done),
      (error) => done(error),
    );
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#lending.abort();
    this.#channel.close();
    const reason = new PlyboxError("aborted", "the transfer was given up");
    this.#input.stop(reason);
    this.#done.reject(error ?? reason);
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
    } else if (frame.kind === "exit") {
      this.#finish(this.#readers.report(frame.json, "exit"));
    } else {
      throw unexpected(frame);
    }
  }

  #finish(report: Report): void {
    if (!this.#hasEnded) throw new ProtocolViolation("sequence", "exit before the end of the input");
    if (this.#readers.check?.(this.#sent, report) === false) {
      throw new ProtocolViolation("sequence", `${this.#sent} bytes were sent, which is not what it reports`);
    }
    this.#done.resolve(report);
  }

  #fail(error: PlyboxError): void {
    if (!this.#isOpen) {
      this.#opened.reject(error);
      this.destroy();
      return;
    }
    this.#input.stop(error);
    this.#done.reject(error);
    this.destroy(error);
  }
}
