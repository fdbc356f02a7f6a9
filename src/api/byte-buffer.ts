/** Bytes that grow by copying: many tiny pieces cost no more than their sum. */
export class ByteBuffer {
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** `bytes` may be kept as they are until more come; the caller does not change them. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#length === 0) {
      this.#bytes = bytes;
      this.#length = bytes.length;
      return;
    }
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#length, 4096));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }

  /** A view of what was appended. */
  view(): Buffer {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#length);
  }
}
