import type { Output } from "../context.ts";
import { LastLines } from "./last-lines.ts";
import { OutputSink } from "./output-sink.ts";

export interface LogWriterOptions {
  /** How many lines of the past are written; all of them where undefined. */
  readonly tail: number | undefined;
  /** How many bytes of the stream are past: what comes behind them is written as it comes. */
  readonly past: number;
  /** Told once, when nobody reads our stream any more. */
  readonly onBroken: () => void;
}

/** One stream of a command that runs, or ran, on one of ours. */
export class LogWriter {
  readonly #sink: OutputSink;
  readonly #past: number;
  #tail: LastLines | undefined;

  constructor(output: Output, { tail, past, onBroken }: LogWriterOptions) {
    this.#sink = new OutputSink(output, onBroken);
    this.#past = past;
    this.#tail = tail === undefined ? undefined : new LastLines(tail);
  }

  /** Resolves when more may come. */
  async take(bytes: Uint8Array, offset: number): Promise<void> {
    if (this.#tail === undefined) return await this.#sink.write(bytes);
    const past = Math.max(0, Math.min(bytes.length, this.#past - offset));
    if (past > 0) this.#tail.take(bytes.subarray(0, past));
    if (offset + bytes.length < this.#past) return;
    await this.#writeTail();
    if (past < bytes.length) await this.#sink.write(bytes.subarray(past));
  }

  /** Resolves when all has left the process. */
  async end(): Promise<void> {
    await this.#writeTail();
    await this.#sink.flush();
    this.#sink.release();
  }

  async #writeTail(): Promise<void> {
    const tail = this.#tail;
    this.#tail = undefined;
    if (tail !== undefined) await this.#sink.write(tail.bytes());
  }
}
