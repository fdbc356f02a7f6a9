const NEWLINE = 10;

interface Piece {
  readonly bytes: Uint8Array;
  readonly newlines: number;
}

/** Keeps the last lines of what it takes, and little of what is before them. The last line need not be complete. */
export class LastLines {
  readonly #count: number;
  readonly #pieces: Piece[] = [];
  #newlines = 0;

  /** @param count 1 or more */
  constructor(count: number) {
    this.#count = count;
  }

  take(bytes: Uint8Array): void {
    const newlines = newlinesOf(bytes);
    this.#pieces.push({ bytes, newlines });
    this.#newlines += newlines;
    // One newline more than there are lines: the one before the first of them.
    for (let first = this.#pieces[0]; first !== undefined; first = this.#pieces[0]) {
      if (this.#newlines - first.newlines <= this.#count) return;
      this.#newlines -= first.newlines;
      this.#pieces.shift();
    }
  }

  bytes(): Uint8Array {
    const whole = Buffer.concat(this.#pieces.map(({ bytes }) => bytes));
    // A newline that is the last byte ends a line, and begins none.
    let before = whole.length - 1;
    for (let line = 0; line < this.#count; line++) {
      before = before <= 0 ? -1 : whole.lastIndexOf(NEWLINE, before - 1);
      if (before === -1) return whole;
    }
    return whole.subarray(before + 1);
  }
}

function newlinesOf(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}
