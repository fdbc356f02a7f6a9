import { PlyboxError } from "../model/errors.ts";

/** Ids that one sandbox has. */
export const RANGE_SIZE = 65_536;

/** Hands out ranges of host ids; one that is given back is the last to be given out again. */
export class IdRanges {
  readonly #first: number;
  readonly #count: number;
  readonly #used = new Set<number>();
  #next = 0;

  /** `count` ranges from the host id `first` on. */
  constructor(first: number, count: number) {
    this.#first = first;
    this.#count = count;
  }

  /**
   * First host id of a range that nobody has.
   * @throws PlyboxError `sandbox/too-many`
   */
  take(): number {
    if (this.#used.size >= this.#count) {
      throw new PlyboxError("sandbox/too-many", `all ${this.#count} id ranges are in use`);
    }
    while (this.#used.has(this.#next)) this.#next = (this.#next + 1) % this.#count;
    this.#used.add(this.#next);
    const base = this.#first + this.#next * RANGE_SIZE;
    this.#next = (this.#next + 1) % this.#count;
    return base;
  }

  /** Marks the range of a sandbox that was there before. */
  claim(base: number): void {
    this.#used.add((base - this.#first) / RANGE_SIZE);
  }

  giveBack(base: number): void {
    this.#used.delete((base - this.#first) / RANGE_SIZE);
  }
}
