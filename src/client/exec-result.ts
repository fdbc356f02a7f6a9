import type { ExecResultView } from "../api/contract.ts";
import type { OutputStream } from "../model/exec.ts";
import { decodeBase64 } from "./base64.ts";
import type { Command, ExitReport } from "./command.ts";

export type Encoding = "utf8" | "bytes";
/** Output in an encoding: text, or the bytes themselves. */
export type Output<E extends Encoding> = E extends "bytes" ? Uint8Array : string;

/** How a command ended, and what it wrote. */
export type ExecResult<E extends Encoding = "utf8"> = Omit<ExecResultView, OutputStream> & {
  readonly stdout: Output<E>;
  readonly stderr: Output<E>;
};

/** What is collected of a command that is streamed; the API collects the same. */
const COLLECT_BYTES = 16 * 1024 ** 2;

/** Called for each piece as it comes; the command waits while a returned promise does. */
export type OutputListener<E extends Encoding> = (piece: Output<E>) => void | Promise<void>;

export interface CollectOptions<E extends Encoding> {
  readonly encoding: E;
  readonly onStdout: OutputListener<E> | undefined;
  readonly onStderr: OutputListener<E> | undefined;
}

/** The API's collected answer; it was asked for base64 where bytes are wanted. */
export function resultOfView<E extends Encoding>(view: ExecResultView, encoding: E): ExecResult<E> {
  if (encoding === "utf8") return view as ExecResult<E>;
  return { ...view, stdout: decodeBase64(view.stdout), stderr: decodeBase64(view.stderr) } as ExecResult<E>;
}

/** Reads a command to its end, tells the listeners, and gives what the API's collected answer would. */
export async function resultOfStream<E extends Encoding>(
  command: Command,
  { encoding, onStdout, onStderr }: CollectOptions<E>,
): Promise<ExecResult<E>> {
  const sinks = { stdout: new Sink(encoding, onStdout), stderr: new Sink(encoding, onStderr) };
  const missing = { stdout: 0, stderr: 0 };
  let room = COLLECT_BYTES;
  let report: ExitReport | undefined;
  for await (const event of command) {
    if (event.kind === "output") {
      const taken = Math.min(room, event.bytes.length);
      room -= taken;
      missing[event.stream] += event.bytes.length - taken;
      await sinks[event.stream].take(event.bytes, taken);
    } else if (event.kind === "lost") missing[event.stream] += event.to - event.from;
    else if (event.kind === "end") await sinks[event.stream].end();
    else report = event.report;
  }
  if (report === undefined) throw new TypeError("a stream ends with exit or throws");
  const mangled = (["stdout", "stderr"] as const).filter((stream) => !sinks[stream].isExact);
  return {
    ...report,
    stdout: sinks.stdout.output(),
    stderr: sinks.stderr.output(),
    ...((missing.stdout > 0 || missing.stderr > 0) && { truncated: missing }),
    ...(mangled.length > 0 && { notUtf8: mangled }),
  };
}

/** One stream's bytes: passed on as they come, and kept up to a point. */
class Sink<E extends Encoding> {
  readonly #encoding: E;
  readonly #listener: OutputListener<E> | undefined;
  /** A character may come in two pieces. */
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #kept: Uint8Array[] = [];

  constructor(encoding: E, listener: OutputListener<E> | undefined) {
    this.#encoding = encoding;
    this.#listener = listener;
  }

  async take(bytes: Uint8Array, kept: number): Promise<void> {
    if (kept > 0) this.#kept.push(kept === bytes.length ? bytes : bytes.subarray(0, kept));
    if (this.#listener === undefined) return;
    await this.#tell(this.#encoding === "bytes" ? bytes : this.#decoder.decode(bytes, { stream: true }));
  }

  async end(): Promise<void> {
    if (this.#listener !== undefined && this.#encoding === "utf8") await this.#tell(this.#decoder.decode());
  }

  /** Whether `output` says exactly what was kept. */
  get isExact(): boolean {
    if (this.#encoding === "bytes") return true;
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(joined(this.#kept));
      return true;
    } catch {
      return false;
    }
  }

  output(): Output<E> {
    const bytes = joined(this.#kept);
    if (this.#encoding === "bytes") return bytes as Output<E>;
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) as Output<E>;
  }

  async #tell(piece: string | Uint8Array): Promise<void> {
    if (piece.length > 0) await Promise.resolve(this.#listener?.(piece as Output<E>));
  }
}

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
