import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import { SendWindow } from "./flow-control.ts";
import type { Channel } from "./link.ts";

const STDIN = 0;
/** One frame of stdin: small enough that another channel's frame need not wait long behind it. */
const FRAME_BYTES = 65_536;

/** An error, or what makes it: making one takes long, and most are never thrown. */
type Reason = PlyboxError | (() => PlyboxError);

/** The host's side of a command's stdin: sends in order, as the agent's credit and the transport allow. */
export class ExecInput {
  readonly #channel: Channel;
  readonly #window = new SendWindow();
  #offset = 0;
  #isEnded = false;
  /** Why nothing more goes out: the command has ended, which drops input, or an error. */
  #stopped: { readonly reason: Reason | undefined } | undefined;
  #waiting = 0;
  /** Inputs go out one after the other. */
  #last: Promise<void> = Promise.resolve();
  /** Wakes the input that waits for credit. */
  #granted: Deferred<void> | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Goes on where the agent's side of the stream is. */
  resumeAt(offset: number): void {
    this.#offset = offset;
  }

  /** Where the stream is, and what may be sent of it now. */
  get position(): { readonly offset: number; readonly credit: number } {
    return { offset: this.#offset, credit: this.#window.credit };
  }

  /** Somebody else has sent so many bytes, and left so much credit. */
  passed(bytes: number, credit: number): void {
    this.#offset += bytes;
    this.#window.resume(credit);
  }

  /** @throws ProtocolViolation */
  grant(bytes: number): void {
    this.#window.grant(bytes);
    this.#wake();
  }

  /** Fails what waits and what comes, or drops it where no reason is given. */
  stop(reason?: Reason): void {
    this.#stopped ??= { reason };
    this.#wake();
  }

  /** `taken` is called when the bytes are needed no more; not where they are dropped. */
  write(bytes: Uint8Array, taken?: () => void): Promise<void> {
    return this.#enqueue(() => this.#send(bytes, taken));
  }

  /** Sends all of it at once where nothing has to be waited for; answers whether it has. */
  writeNow(bytes: Uint8Array, taken?: () => void): boolean {
    if (this.#waiting > 0 || this.#isEnded || this.#stopped !== undefined) return false;
    if (bytes.length > Math.min(this.#window.credit, FRAME_BYTES)) return false;
    if (this.#channel.drained() !== undefined) return false;
    this.#sendPart(bytes, taken);
    return true;
  }

  end(): Promise<void> {
    return this.#enqueue(() => {
      if (this.#isEnded || this.#isStopped()) return;
      this.#isEnded = true;
      this.#channel.send({ kind: "end", stream: STDIN, offset: this.#offset });
    });
  }

  async #send(bytes: Uint8Array, taken: (() => void) | undefined): Promise<void> {
    if (this.#isEnded) throw new PlyboxError("input/invalid", "the command's stdin is closed");
    const { length } = bytes;
    let at = 0;
    while (at < length && !this.#isStopped()) {
      const size = Math.min(this.#window.credit, FRAME_BYTES, length - at);
      if (size === 0) {
        this.#granted = deferred();
        await this.#granted.promise;
        continue;
      }
      const part = bytes.subarray(at, at + size);
      at += size;
      this.#sendPart(part, at === length ? taken : undefined);
      await this.#channel.drained();
    }
  }

  #sendPart(bytes: Uint8Array, taken: (() => void) | undefined): void {
    const offset = this.#offset;
    this.#window.spend(bytes.length);
    this.#offset += bytes.length;
    this.#channel.send({ kind: "data", stream: STDIN, offset, bytes }, taken);
  }

  #isStopped(): boolean {
    const reason = this.#stopped?.reason;
    if (reason !== undefined) throw typeof reason === "function" ? reason() : reason;
    return this.#stopped !== undefined;
  }

  #enqueue(send: () => void | Promise<void>): Promise<void> {
    this.#waiting += 1;
    const input = this.#last.then(send).finally(() => {
      this.#waiting -= 1;
    });
    this.#last = input.catch(() => {});
    return input;
  }

  #wake(): void {
    this.#granted?.resolve();
    this.#granted = undefined;
  }
}
