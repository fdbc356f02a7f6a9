import type { Interrupt, InterruptSource } from "../context.ts";

const CAUGHT: readonly Interrupt[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** What to do with an interrupt; `count` is how many came so far, this one included. */
export type InterruptHandler = (signal: Interrupt, count: number) => void;

/** Takes interrupts in place of the default, which would end the process at once, until it is disposed. */
export class Interrupts implements Disposable {
  readonly #source: InterruptSource;
  #handler: InterruptHandler;
  #count = 0;
  #last: Interrupt | undefined;

  constructor(source: InterruptSource, handler: InterruptHandler) {
    this.#source = source;
    this.#handler = handler;
    for (const signal of CAUGHT) source.on(signal, this.#take);
  }

  /** The latest one; undefined when none came. */
  get last(): Interrupt | undefined {
    return this.#last;
  }

  /** From now on interrupts go to `handler`. */
  handTo(handler: InterruptHandler): void {
    this.#handler = handler;
  }

  [Symbol.dispose](): void {
    for (const signal of CAUGHT) this.#source.off(signal, this.#take);
  }

  readonly #take = (signal: Interrupt): void => {
    this.#last = signal;
    this.#count++;
    this.#handler(signal, this.#count);
  };
}
