/** A buffer of this size takes what comes in a few reads, and stays in the processor's cache. */
const BUFFER_BYTES = 262_144;
/** With less room left a buffer is full: a read would bring too little. */
const LEAST_READ_BYTES = 65_536;
/** What is kept for later. */
const MAX_FREE = 16;

interface Slot {
  readonly buffer: Buffer;
  /** How many pieces of it somebody still reads. */
  holds: number;
  /** Whether more is received into it. */
  isOpen: boolean;
}

/**
 * Memory that fast streams are received into over and over. Node makes 64 KiB anew for each read, and collecting that
 * takes longer than all else that is done with the bytes.
 */
export class ReceiveMemory {
  readonly #free: Buffer[] = [];
  readonly #slots = new WeakMap<ArrayBufferLike, Slot>();

  /** For one connection. */
  receiver(): Receiver {
    return new Receiver({ take: () => this.#take(), settle: (slot) => this.#settle(slot) });
  }

  /** Keeps what has been received from being overwritten, until it is released. Harmless on other bytes. */
  hold(bytes: Uint8Array): void {
    const slot = this.#slots.get(bytes.buffer);
    if (slot !== undefined) slot.holds += 1;
  }

  /** Once for each `hold`. */
  release(bytes: Uint8Array): void {
    const slot = this.#slots.get(bytes.buffer);
    if (slot === undefined) return;
    slot.holds -= 1;
    this.#settle(slot);
  }

  #take(): Slot {
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const slot = { buffer, holds: 0, isOpen: true };
    this.#slots.set(buffer.buffer, slot);
    return slot;
  }

  #settle({ buffer, holds, isOpen }: Slot): void {
    if (holds === 0 && !isOpen && this.#free.length < MAX_FREE) this.#free.push(buffer);
  }
}

interface Source {
  take(): Slot;
  settle(slot: Slot): void;
}

/** Where one connection receives: small pieces go into one buffer, behind each other. */
export class Receiver {
  readonly #source: Source;
  #slot: Slot | undefined;
  #filled = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Where the next bytes go. */
  room(): Buffer {
    if (this.#slot?.holds === 0) this.#filled = 0;
    if (this.#slot !== undefined && BUFFER_BYTES - this.#filled < LEAST_READ_BYTES) this.close();
    this.#slot ??= this.#source.take();
    return this.#slot.buffer.subarray(this.#filled);
  }

  /** So many have come, into the room that was given last. */
  received(bytes: number): void {
    this.#filled += bytes;
  }

  /** Nothing more comes. Idempotent. */
  close(): void {
    const slot = this.#slot;
    this.#slot = undefined;
    this.#filled = 0;
    if (slot === undefined) return;
    slot.isOpen = false;
    this.#source.settle(slot);
  }
}
