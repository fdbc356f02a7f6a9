import type { GrowingBlock } from "./growing-block.ts";
import { append, LARGE_BYTES } from "./growing-block.ts";

const FIRST_BLOCK_BYTES = 64;

/**
 * Bytes that have come and are not taken. Credit bounds how many there are; this bounds what they cost: of a peer that
 * sends byte by byte a block is kept instead of an object for each, and no large chunk is held by a small piece.
 */
export class PieceQueue {
  readonly #keep: ((bytes: Uint8Array) => void) | undefined;
  readonly #pieces: (Uint8Array | GrowingBlock)[] = [];
  #bytes = 0;

  /** @param keep called for bytes that are queued as they came, which are not to be overwritten from then on */
  constructor(keep?: (bytes: Uint8Array) => void) {
    this.#keep = keep;
  }

  /** How many wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether it is worth a write of its own. */
  get isLarge(): boolean {
    return this.#bytes >= LARGE_BYTES;
  }

  push(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    if (bytes.length >= LARGE_BYTES) {
      this.#keep?.(bytes);
      this.#pieces.push(bytes);
      return;
    }
    const last = this.#pieces.at(-1);
    if (last === undefined || last instanceof Uint8Array) this.#pieces.push(blockOf(bytes));
    else append(last, bytes);
  }

  /** The oldest piece; undefined where there is none. */
  take(): Uint8Array | undefined {
    const piece = this.#pieces.shift();
    const bytes = piece === undefined || piece instanceof Uint8Array ? piece : piece.block.subarray(0, piece.length);
    this.#bytes -= bytes?.length ?? 0;
    return bytes;
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#bytes = 0;
  }
}

function blockOf(bytes: Uint8Array): GrowingBlock {
  const block = { block: Buffer.allocUnsafe(Math.max(FIRST_BLOCK_BYTES, bytes.length)), length: 0 };
  append(block, bytes);
  return block;
}
