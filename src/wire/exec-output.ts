import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecEvent } from "../model/exec.ts";
import { OutputQueue } from "./output-queue.ts";

type Result = IteratorResult<ExecEvent, undefined>;

const DONE: Result = { done: true, value: undefined };

/** Hands a command's events to its single reader, at once to one that waits. */
export class ExecOutput implements AsyncIterator<ExecEvent, undefined> {
  readonly #onTaken: (event: ExecEvent) => void;
  readonly #queue = new OutputQueue();
  #reader: Deferred<Result> | undefined;
  /** What comes after the queued events: nothing, or an error. */
  #end: { readonly error: PlyboxError | undefined } | undefined;

  /** `onTaken` is called as the reader takes an event, before it sees it. */
  constructor(onTaken: (event: ExecEvent) => void) {
    this.#onTaken = onTaken;
  }

  push(event: ExecEvent): void {
    const reader = this.#reader;
    if (reader === undefined) {
      this.#queue.push(event);
      return;
    }
    this.#reader = undefined;
    this.#onTaken(event);
    reader.resolve({ done: false, value: event });
  }

  /** Ends the iteration after what is queued, with the error where one is given. */
  end(error?: PlyboxError): void {
    this.#end ??= { error };
    if (error === undefined) this.#reader?.resolve(DONE);
    else this.#reader?.reject(error);
    this.#reader = undefined;
  }

  /** Drops what is queued; the iteration is over. */
  discard(): void {
    this.#queue.clear();
    this.end();
  }

  next(): Promise<Result> {
    if (this.#reader !== undefined) {
      return Promise.reject(new PlyboxError("internal", "an exec session gives one event after the other"));
    }
    const event = this.#queue.take();
    if (event !== undefined) {
      this.#onTaken(event);
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#end === undefined) {
      this.#reader = deferred();
      return this.#reader.promise;
    }
    return this.#end.error === undefined ? Promise.resolve(DONE) : Promise.reject(this.#end.error);
  }
}
