import type { Rate } from "../model/access.ts";

/** Lets `perMinute` through on average and `burst` at once. */
export class TokenBucket {
  readonly #rate: Rate;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /** @param now milliseconds of a clock that never steps back */
  constructor(rate: Rate, now: () => number) {
    this.#rate = rate;
    this.#now = now;
    this.#tokens = rate.burst;
    this.#filledAt = now();
  }

  /** Takes one; 0 when it may pass, otherwise the milliseconds after which the next may. */
  take(): number {
    const { perMinute, burst } = this.#rate;
    const now = this.#now();
    const perMs = perMinute / 60_000;
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#filledAt) * perMs);
    this.#filledAt = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil((1 - this.#tokens) / perMs);
  }
}
