/**
 * Whether something is under way in a sandbox, and since when nothing is. Whatever a user would not want to be cut off
 * from, such as an open stream, holds it.
 */
export class Activity {
  #holders = 0;
  #idleSince = performance.now();

  /** Milliseconds since the last activity ended; 0 while something is under way. */
  get idleMs(): number {
    return this.#holders > 0 ? 0 : performance.now() - this.#idleSince;
  }

  /** Something begins; answers what ends it. Ending twice is harmless. */
  hold(): () => void {
    let held = true;
    this.#holders += 1;
    return () => {
      if (!held) return;
      held = false;
      this.#holders -= 1;
      this.#idleSince = performance.now();
    };
  }

  /** Something happened and is over. */
  touch(): void {
    this.#idleSince = performance.now();
  }
}
