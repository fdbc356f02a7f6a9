import type { Output } from "../context.ts";

/** One of our output streams: writes in order, waits while its reader is slow, and outlives a reader that goes away. */
export class OutputSink {
  readonly #stream: Output;
  readonly #onBroken: () => void;
  #wake: () => void = () => {};
  #broken = false;

  /** `onBroken` is told once, when nobody reads the stream any more. */
  constructor(stream: Output, onBroken: () => void) {
    this.#stream = stream;
    this.#onBroken = onBroken;
    stream.on("drain", this.#drained);
    stream.on("error", this.#failed);
  }

  /** Resolves when more may be written. What is written to a broken stream is dropped. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#broken || this.#stream.write(bytes)) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Resolves when all that was written has left the process. */
  async flush(): Promise<void> {
    if (this.#broken) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#stream.write("", () => resolve());
    });
  }

  release(): void {
    this.#stream.off("drain", this.#drained);
    this.#stream.off("error", this.#failed);
  }

  readonly #drained = (): void => this.#wake();

  readonly #failed = (): void => {
    this.#wake();
    if (this.#broken) return;
    this.#broken = true;
    this.#onBroken();
  };
}
