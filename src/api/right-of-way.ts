import { setImmediate as inputTaken } from "node:timers/promises";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import type { ExecEvent } from "../model/exec.ts";
import type { RequestObserver, RequestWatch } from "../model/request-observer.ts";

/** Longer than what is short takes; what has been asked for longer ago holds back nobody. */
const SHORT_MS = 5;
/** Of each stream: with so little, nobody waits long for it, and who asked for it is not held back by that very request. */
const FREE_BYTES = 1024 ** 2;
/** A piece of what comes after: between two of them others have their turn. */
const PIECE_BYTES = 32 * 1024;

export type StreamTurns = (event: ExecEvent) => Promise<void> | undefined;

/**
 * Lets requests go before streams that have much to send. Both are served by one thread: a command that floods would
 * else delay each answer by all of its output that has arrived by then, several times for a request that takes several steps.
 *
 * A piece of a stream waits for requests that have been asked a moment ago, 5 ms at most: beside others without end, a
 * stream still gets its 32 KiB in that time.
 */
export class RightOfWay implements RequestObserver {
  /** When each request came that has not been answered, from the oldest; it misses those that take long. */
  readonly #asked = new Map<RequestWatch, number>();
  #way: { readonly free: Deferred<void>; readonly timer: NodeJS.Timeout } | undefined;

  begin(): RequestWatch {
    const watch: RequestWatch = {
      run: (serve) => serve(),
      end: () => {
        this.#asked.delete(watch);
        if (this.#way !== undefined && !this.#isAsked()) this.#letGo();
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
      return this.#turn();
    };
  }

  async #turn(): Promise<void> {
    // A request that has arrived is seen, and an answer that is ready goes out.
    await inputTaken();
    if (!this.#isAsked()) return;
    this.#way ??= { free: deferred(), timer: setTimeout(() => this.#letGo(), SHORT_MS) };
    await this.#way.free.promise;
    await inputTaken();
  }

  #letGo(): void {
    clearTimeout(this.#way?.timer);
    this.#way?.free.resolve();
    this.#way = undefined;
  }

  #isAsked(): boolean {
    const latest = performance.now() - SHORT_MS;
    for (const [watch, at] of this.#asked) {
      if (at > latest) return true;
      this.#asked.delete(watch);
    }
    return false;
  }
}
