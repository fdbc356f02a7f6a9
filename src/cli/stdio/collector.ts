import { isUtf8 } from "node:buffer";
import type { OutputStream } from "../../model/exec.ts";
import type { Sink } from "./relay.ts";
import type { ExitReport } from "./relayed-command.ts";

const STREAMS = ["stdout", "stderr"] as const;
/** What is kept of a command's output, as the API keeps it. */
const COLLECT_BYTES = 16 * 1024 ** 2;

/** Keeps a command's output for `--json`, of the shape in which the API answers. */
export class Collector {
  readonly sinks: Readonly<Record<OutputStream, Sink>> = { stdout: this.#sink("stdout"), stderr: this.#sink("stderr") };
  readonly #pieces: Record<OutputStream, Uint8Array[]> = { stdout: [], stderr: [] };
  readonly #missing: Record<OutputStream, number> = { stdout: 0, stderr: 0 };
  #room = COLLECT_BYTES;

  readonly lose = (stream: OutputStream, bytes: number): void => {
    this.#missing[stream] += bytes;
  };

  result(report: ExitReport): object {
    const [stdout, stderr] = STREAMS.map((stream) => Buffer.concat(this.#pieces[stream])) as [Buffer, Buffer];
    const notUtf8 = STREAMS.filter((stream) => !isUtf8(stream === "stdout" ? stdout : stderr));
    return {
      ...report,
      stdout: stdout.toString(),
      stderr: stderr.toString(),
      ...(STREAMS.some((stream) => this.#missing[stream] > 0) && { truncated: this.#missing }),
      ...(notUtf8.length > 0 && { notUtf8 }),
    };
  }

  #sink(stream: OutputStream): Sink {
    return {
      write: async (bytes) => {
        const kept = bytes.subarray(0, this.#room);
        this.#room -= kept.length;
        this.#missing[stream] += bytes.length - kept.length;
        if (kept.length > 0) this.#pieces[stream].push(kept);
      },
    };
  }
}
