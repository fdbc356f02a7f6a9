import type { ExecEvent, OutputStream } from "../model/exec.ts";
import type { ByteRange, KeptOutput } from "../model/execution.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

/** What arrives of an execution's output, or what was overwritten before it could. */
export type OutputPiece = Extract<ExecEvent, { kind: "output" | "lost" }>;

/** An agent that loses so often without being slowed down by what it sends makes it up. */
const MOST_LOSSES = 65_536;

class Stream {
  readonly name: OutputStream;
  /** Where it goes on. */
  offset = 0;
  ended = false;
  #kept = Buffer.alloc(0);
  #keptBytes = 0;
  readonly #lost: { readonly from: number; to: number }[] = [];

  constructor(name: OutputStream) {
    this.name = name;
  }

  get kept(): KeptOutput {
    return { bytes: this.#kept.subarray(0, this.#keptBytes), lost: this.#lost };
  }

  /** Copied: what is sent in small frames would otherwise hold large chunks. */
  keep(bytes: Uint8Array): void {
    const length = this.#keptBytes + bytes.length;
    if (length > this.#kept.length) {
      const grown = Buffer.allocUnsafe(2 * length);
      this.#kept.copy(grown, 0, 0, this.#keptBytes);
      this.#kept = grown;
    }
    this.#kept.set(bytes, this.#keptBytes);
    this.#keptBytes = length;
  }

  lose({ from, to }: ByteRange): void {
    const last = this.#lost.at(-1);
    if (last?.to === from) last.to = to;
    else if (this.#lost.length < MOST_LOSSES) this.#lost.push({ from, to });
    else throw new ProtocolViolation("sequence", `${this.name} has more than ${MOST_LOSSES} losses`);
  }
}

/** The two output streams of an execution: checked, and kept or handed on. */
export class ExecutionOutput {
  readonly #streams = [undefined, new Stream("stdout"), new Stream("stderr")] as const;
  readonly #most: number;
  readonly #onPiece: ((piece: OutputPiece) => void) | undefined;

  /** @param most bytes of both streams together; without `onPiece` they are kept */
  constructor(most: number, onPiece: ((piece: OutputPiece) => void) | undefined) {
    this.#most = most;
    this.#onPiece = onPiece;
  }

  get stdout(): KeptOutput {
    return this.#streams[1].kept;
  }
  get stderr(): KeptOutput {
    return this.#streams[2].kept;
  }

  /** @throws ProtocolViolation for what does not go on where the stream was, here and below */
  receive(number: number, offset: number, bytes: Uint8Array): void {
    const stream = this.#at(number, offset);
    if (bytes.length === 0) return;
    this.#advance(stream, offset + bytes.length);
    if (this.#onPiece === undefined) stream.keep(bytes);
    else this.#onPiece({ kind: "output", stream: stream.name, offset, bytes });
  }

  lose(number: number, { from, to }: ByteRange): void {
    const stream = this.#at(number, from);
    if (from === to) return;
    this.#advance(stream, to);
    if (this.#onPiece === undefined) stream.lose({ from, to });
    else this.#onPiece({ kind: "lost", stream: stream.name, from, to });
  }

  end(number: number, offset: number): void {
    this.#at(number, offset).ended = true;
  }

  /** Checks that the streams have come as far as the report says. */
  finish({ stdoutBytes, stderrBytes }: { readonly stdoutBytes: number; readonly stderrBytes: number }): void {
    this.#at(1, stdoutBytes, true);
    this.#at(2, stderrBytes, true);
  }

  #at(number: number, offset: number, ended = false): Stream {
    const stream = this.#streams[number];
    if (stream === undefined || stream.ended !== ended) {
      throw new ProtocolViolation("sequence", `stream ${number} ${ended ? "has not ended" : "takes nothing"}`);
    }
    if (stream.offset === offset) return stream;
    throw new ProtocolViolation("sequence", `${stream.name} goes on at ${stream.offset}, not at ${offset}`);
  }

  #advance(stream: Stream, offset: number): void {
    stream.offset = offset;
    if (this.#streams[1].offset + this.#streams[2].offset > this.#most) {
      throw new ProtocolViolation("sequence", `there is more output than the ${this.#most} bytes that may come`);
    }
  }
}
