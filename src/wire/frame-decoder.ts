import type { DataFrame, Frame } from "./frame.ts";
import { kindOf, MAX_LENGTH, MIN_LENGTH, parseFrame } from "./frame.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

const LENGTH_BYTES = 4;
const SMALLEST_FRAME = LENGTH_BYTES + MIN_LENGTH;
/** Up to the first byte that a data frame carries. */
const DATA_START = LENGTH_BYTES + MIN_LENGTH + 9;
const EMPTY = Buffer.alloc(0);

interface Rest {
  readonly frame: DataFrame;
  offset: number;
  bytes: number;
}

/**
 * Frames out of a byte stream that arrives in any pieces. A frame that lies whole in a piece is parsed in place; only
 * one that is cut is copied together, into memory that grows with what has come and not with what its length claims.
 */
export class FrameDecoder {
  readonly #onFrame: (frame: Frame) => void;
  /** The beginning of a frame that is not whole yet. */
  #partial: Buffer = EMPTY;
  #filled = 0;
  /** What is still to come of a data frame that is handed on in pieces. */
  #rest: Rest | undefined;
  /**
   * Hands on what a data frame carries as it comes, in several frames with the offsets that follow, instead of copying
   * it together: most of what a fast stream would cost is the memory for that.
   */
  splitsData = false;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** Whether the bytes so far end inside a frame. */
  get midFrame(): boolean {
    return this.#filled > 0 || this.#rest !== undefined;
  }

  /** Bytes held for a frame that is not whole yet, at most 1 MiB + 4. */
  get heldBytes(): number {
    return this.#partial.length;
  }

  /**
   * Calls `onFrame` for each frame that is whole now. The chunk must not be written to afterwards.
   * @throws ProtocolViolation `length`, `kind` or `payload`, or whatever `onFrame` throws; the decoder is then spent
   */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest !== undefined) {
        at += this.#passOn(chunk, at, this.#rest);
        continue;
      }
      const size = this.#filled === 0 ? frameSize(chunk, at, chunk.length) : undefined;
      if (size !== undefined && size <= chunk.length - at) {
        this.#onFrame(parseFrame(chunk, at + LENGTH_BYTES, at + size));
        at += size;
      } else if (size !== undefined && chunk.length - at >= DATA_START && this.#splits(chunk, at)) {
        this.#begin(chunk, at, size);
        at += DATA_START;
      } else {
        at += this.#gather(chunk, at);
      }
    }
  }

  #splits(buffer: Buffer, at: number): boolean {
    return this.splitsData && kindOf(buffer[at + LENGTH_BYTES]) === "data";
  }

  /** The head of a data frame is there: what it carries is handed on as it comes. */
  #begin(buffer: Buffer, at: number, size: number): void {
    const frame = parseFrame(buffer, at + LENGTH_BYTES, at + DATA_START) as DataFrame;
    const bytes = size - DATA_START;
    if (frame.offset + bytes > Number.MAX_SAFE_INTEGER) {
      throw new ProtocolViolation("payload", "the payload of data is refused: its offset is out of range");
    }
    if (bytes > 0) this.#rest = { frame, offset: frame.offset, bytes };
    else this.#onFrame(frame);
  }

  #passOn(chunk: Buffer, at: number, rest: Rest): number {
    const bytes = chunk.subarray(at, Math.min(chunk.length, at + rest.bytes));
    const { offset } = rest;
    rest.offset += bytes.length;
    rest.bytes -= bytes.length;
    if (rest.bytes === 0) this.#rest = undefined;
    this.#onFrame({ ...rest.frame, offset, bytes });
    return bytes.length;
  }

  /** Adds bytes from `at` on to the partial frame, and none of the next one; returns how many. */
  #gather(chunk: Buffer, at: number): number {
    const size = frameSize(this.#partial, 0, this.#filled) ?? SMALLEST_FRAME;
    // No further than to its kind before that is known: it says how much is wanted.
    const wanted =
      this.#filled <= LENGTH_BYTES
        ? SMALLEST_FRAME
        : Math.min(size, this.#splits(this.#partial, 0) ? DATA_START : size);
    const taken = Math.min(wanted - this.#filled, chunk.length - at);
    const filled = this.#filled + taken;
    if (filled > this.#partial.length) {
      const grown = Buffer.allocUnsafe(Math.min(wanted, 2 * filled));
      this.#partial.copy(grown, 0, 0, this.#filled);
      this.#partial = grown;
    }
    chunk.copy(this.#partial, this.#filled, at, at + taken);
    this.#filled = filled;
    const known = frameSize(this.#partial, 0, filled);
    if (known === filled) this.#finish(filled);
    else if (known !== undefined && filled === DATA_START && this.#splits(this.#partial, 0)) {
      this.#filled = 0;
      this.#begin(this.#partial, 0, known);
    }
    return taken;
  }

  #finish(size: number): void {
    const whole = this.#partial;
    // The frame keeps this memory: the next one gets its own.
    this.#partial = EMPTY;
    this.#filled = 0;
    this.#onFrame(parseFrame(whole, LENGTH_BYTES, size));
  }
}

/** Size of the frame that begins at `at`, or undefined where too little of it is there; what is there is checked. */
function frameSize(buffer: Buffer, at: number, end: number): number | undefined {
  if (end - at < LENGTH_BYTES) return undefined;
  const length = buffer.readUInt32LE(at);
  if (length < MIN_LENGTH || length > MAX_LENGTH) {
    throw new ProtocolViolation("length", `a frame of ${length} bytes; ${MIN_LENGTH} to ${MAX_LENGTH} are allowed`);
  }
  if (end - at > LENGTH_BYTES) kindOf(buffer[at + LENGTH_BYTES]);
  return LENGTH_BYTES + length;
}
