import type { Output } from "../context.ts";

const CLEAR_LINE = "\r\u001b[2K";
const SHOW_AFTER_MS = 300;
const REDRAW_MS = 100;

const BAR_CHARACTERS = 16;

/** How much of something is done, as a bar of a fixed width. */
export function progressBar(done: number, total: number): string {
  const filled = total <= 0 ? BAR_CHARACTERS : Math.min(BAR_CHARACTERS, Math.floor((done / total) * BAR_CHARACTERS));
  return `[${"#".repeat(filled)}${".".repeat(BAR_CHARACTERS - filled)}]`;
}

/**
 * One line about long work. It is shown only on a terminal, and only when the work is not done at once; elsewhere a log gets
 * a line of its own for each milestone.
 */
export class Progress implements Disposable {
  readonly #stream: Output;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #text: string;
  #isShown = false;
  #milestone: string | undefined;

  constructor(stream: Output, text: string) {
    this.#stream = stream;
    this.#text = text;
    if (stream.isTTY === true) this.#timer = setInterval(() => this.#draw(), REDRAW_MS).unref();
  }

  update(text: string): void {
    this.#text = text;
  }

  /** Has a log tell `text` when the work has come to another milestone. */
  reach(milestone: string, text: string): void {
    if (this.#stream.isTTY === true || milestone === this.#milestone) return;
    this.#milestone = milestone;
    this.#stream.write(`${text}\n`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#isShown) this.#stream.write(CLEAR_LINE);
    this.#isShown = false;
  }

  #draw(): void {
    const elapsed = performance.now() - this.#started;
    if (elapsed < SHOW_AFTER_MS) return;
    this.#isShown = true;
    const line = `${this.#text} ${Math.floor(elapsed / 1000)}s`;
    // A line that wraps cannot be cleared.
    this.#stream.write(CLEAR_LINE + line.slice(0, (this.#stream.columns ?? 80) - 1));
  }
}
