import { setImmediate as inputTaken } from "node:timers/promises";
import type { ExecEvent } from "../model/exec.ts";
import type { RequestObserver, RequestWatch } from "../model/request-observer.ts";

/** Longer than what is short takes; what has been asked for longer ago holds back nobody. */
const SHORT_MS = 2;
/** So soon after an answer a client that asks one thing after the other asks the next. */
const NEXT_MS = 1;
/** Of each stream: with so little, nobody waits long for it, and who asked for it is not held back by that very request. */
const FREE_BYTES = 1024 ** 2;
/** A piece of what comes after: between two of them others have their turn. */
const PIECE_BYTES = 32 * 1024;

export type StreamTurns = (event: ExecEvent) => Promise<void> | undefined;

/**
 * Lets requests go before streams that have much to send. Both are served by one thread: commands that flood would
 * else delay each answer by all of their output that has arrived by then, several times for a request that takes
 * several steps.
 *
 * Streams send one piece after the other, and each waits for requests that have just been asked, or may be asked next
 * by a client that has just been answered, about 2 ms at most: beside requests without end, all streams together still
 * send 32 KiB in that time.
 */
export class RightOfWay implements RequestObserver {
  /** When each request came that has not been answered, from the oldest; it misses those that take long. */
  readonly #asked = new Map<RequestWatch, number>();
  #answeredAt = Number.NEGATIVE_INFINITY;
  #lastTurn: Promise<void> = Promise.resolve();

  begin(): RequestWatch {
    const watch: RequestWatch = {
      run: (serve) => serve(),
      end: () => {
        this.#asked.delete(watch);
        this.#answeredAt = performance.now();
      },
    };
    this.#asked.set(watch, performance.now());
    return watch;
  }

  /** Of one stream: called with each event before it is sent, it gives what that has to wait for. */
  stream(): StreamTurns {
    let room = FREE_BYTES;
    return (event) => {
      if (event.kind !== "output") return undefined;
      room -= event.bytes.length;
      if (room > 0) return undefined;
      room = PIECE_BYTES;
      this.#lastTurn = this.#lastTurn.then(() => this.#turn());
      return this.#lastTurn;
    };
  }

  async #turn(): Promise<void> {
    // A request that has arrived is seen, and an answer that is ready goes out.
    await inputTaken();
    for (let waitedMs = 0; waitedMs < SHORT_MS && this.#isBusy(); waitedMs++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await inputTaken();
    }
  }

  #isBusy(): boolean {
    const now = performance.now();
    for (const [watch, at] of this.#asked) {
      if (now - at < SHORT_MS) return true;
      this.#asked.delete(watch);
    }
    return now - this.#answeredAt < NEXT_MS;
  }
}
