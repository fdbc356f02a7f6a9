/** From here on a piece is queued as it came; it may keep the chunk in memory that it is part of. */
export const LARGE_BYTES = 4096;

/** Small pieces, copied behind each other: `length` bytes of `block`. */
export interface GrowingBlock {
  block: Buffer;
  length: number;
}

/** Copies bytes behind those that are there, into twice the room where there is too little. */
export function append(to: GrowingBlock, bytes: Uint8Array): void {
  const length = to.length + bytes.length;
  // A block that came as a chunk is not ours to write to, and has no room: the first append moves it.
  if (length > to.block.length) {
    const grown = Buffer.allocUnsafe(2 * length);
    to.block.copy(grown, 0, 0, to.length);
    to.block = grown;
  }
  to.block.set(bytes, to.length);
  to.length = length;
}
