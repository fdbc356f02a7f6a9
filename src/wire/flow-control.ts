import { ProtocolViolation } from "./protocol-violation.ts";

/** What each side of a channel may send before it is granted more, docs/protocol.md §3. */
export const INITIAL_CREDIT = 262_144;
const MAX_CREDIT = 2 ** 31 - 1;

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

  /** As somebody else has left it, who went on with the stream. */
  resume(credit: number): void {
    this.#credit = credit;
  }
}

/** Counts what we let the peer send. */
export class ReceiveWindow {
  readonly #bytes: number;
  readonly #grantBytes: number;
  #credit = INITIAL_CREDIT;
  #consumed = 0;

  /** @param bytes how wide it is to become; a wider one than at first begins with a grant of the difference */
  constructor(bytes: number = INITIAL_CREDIT) {
    this.#bytes = bytes;
    this.#grantBytes = bytes / 4;
    this.#consumed = bytes - INITIAL_CREDIT;
  }

  /** @throws ProtocolViolation `sequence` on more than was granted */
  receive(bytes: number): void {
    this.#credit -= bytes;
    if (this.#credit < 0) throw new ProtocolViolation("sequence", "more data than credit");
  }

  /**
   * Counts bytes that the reader has taken; returns what to grant now, often 0: credit goes back in quarters of the
   * window, for a frame each would cost more than it tells.
   */
  consume(bytes: number): number {
    this.#consumed += bytes;
    if (this.#consumed < this.#grantBytes) return 0;
    const granted = this.#consumed;
    this.#consumed = 0;
    this.#credit += granted;
    return granted;
  }

  /** As somebody else has left it, who went on with the stream; all that came has been taken. */
  resume(credit: number): void {
    this.#credit = credit;
    this.#consumed = Math.max(0, this.#bytes - credit);
  }
}
