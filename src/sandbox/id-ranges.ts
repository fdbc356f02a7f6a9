import { PlyboxError } from "../model/errors.ts";

/** Ids that one sandbox has. */
export const RANGE_SIZE = 65_536;

/** Gives each sandbox the host ids that it has. */
export interface IdSource {
  /** How many ids a sandbox has. */
  readonly size: number;
  /**
   * First host id of those of a new sandbox.
   * @throws PlyboxError `sandbox/too-many`
   */
  take(): number;
  /** Marks the ids of a sandbox that was there before. */
  claim(base: number): void;
  giveBack(base: number): void;
}

/** Hands out ranges of host ids; one that is given back is the last to be given out again. */
export class IdRanges implements IdSource {
  readonly size = RANGE_SIZE;
  readonly #first: number;
  readonly #count: number;
  /** First host ids of the ranges that nobody has, the next one to hand out first. */
  readonly #free: Set<number>;

  /** `count` ranges from the host id `first` on. */
  constructor(first: number, count: number) {
    this.#first = first;
    this.#count = count;
    this.#free = new Set(Array.from({ length: count }, (_, i) => first + i * RANGE_SIZE));
  }

  /**
   * First host id of a range that nobody has.
   * @throws PlyboxError `sandbox/too-many`
   */
  take(): number {
    const [base] = this.#free;
    if (base === undefined) throw new PlyboxError("sandbox/too-many", `all ${this.#count} id ranges are in use`);
    this.#free.delete(base);
    return base;
  }

  /** Marks the range of a sandbox that was there before. */
  claim(base: number): void {
    this.#free.delete(base);
  }

  giveBack(base: number): void {
    // An earlier version may have given out ranges that are none of these.
    if (this.#owns(base)) this.#free.add(base);
  }

  #owns(base: number): boolean {
    const index = (base - this.#first) / RANGE_SIZE;
    return Number.isInteger(index) && index >= 0 && index < this.#count;
  }
}
