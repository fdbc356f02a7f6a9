import { ProtocolViolation } from "./protocol-violation.ts";

/** What each side of a channel may send before it is granted more, docs/protocol.md §3. */
export const INITIAL_CREDIT = 262_144;
const MAX_CREDIT = 2 ** 31 - 1;
/** Credit goes back in steps of this size: a frame each would cost more than it tells. */
const GRANT_BYTES = INITIAL_CREDIT / 4;

/** Counts what the peer lets us send. */
export class SendWindow {
  #credit = INITIAL_CREDIT;

  get credit(): number {
    return this.#credit;
  }

  /** @throws ProtocolViolation `sequence` beyond 2³¹−1 */
  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > MAX_CREDIT) throw new ProtocolViolation("sequence", "the credit is more than 2³¹−1");
  }

  spend(bytes: number): void {
    this.#credit -= bytes;
  }
}

/** Counts what we let the peer send. */
export class ReceiveWindow {
  #credit = INITIAL_CREDIT;
  #consumed = 0;

  /** @throws ProtocolViolation `sequence` on more than was granted */
  receive(bytes: number): void {
    this.#credit -= bytes;
    if (this.#credit < 0) throw new ProtocolViolation("sequence", "more data than credit");
  }

  /** Counts bytes that the reader has taken; returns what to grant now, often 0. */
  consume(bytes: number): number {
    this.#consumed += bytes;
    if (this.#consumed < GRANT_BYTES) return 0;
    const granted = this.#consumed;
    this.#consumed = 0;
    this.#credit += granted;
    return granted;
  }
}
