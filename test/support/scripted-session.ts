import { PlyboxError } from "../../src/model/errors.ts";
import type { ExecEvent, ExecReport, ExecSession, OutputStream } from "../../src/model/exec.ts";
import { newExecId } from "../../src/model/ids.ts";

/** A session that says what a test tells it to. Like a real one it has a single reader and one question at a time. */
export class ScriptedSession implements ExecSession {
  readonly exec = newExecId();
  readonly pid = 7;
  readonly written: string[] = [];
  /** How many events were taken. */
  taken = 0;
  isClosed = false;
  inputEnded = false;
  readonly #events: ExecEvent[] = [];
  #failure: Error | undefined;
  #waiting: { resolve(result: IteratorResult<ExecEvent>): void; reject(error: Error): void } | undefined;

  say(...events: ExecEvent[]): this {
    this.#events.push(...events);
    this.#wake();
    return this;
  }

  output(text: string | Uint8Array, stream: OutputStream = "stdout", offset = 0): this {
    return this.say({ kind: "output", stream, offset, bytes: Buffer.from(text) });
  }

  exit(report: Partial<ExecReport> = {}): this {
    return this.say({ kind: "exit", report: { ...this.#report(), ...report } });
  }

  fail(error: Error): this {
    this.#failure = error;
    this.#wake();
    return this;
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecEvent> {
    return {
      next: () => {
        if (this.#waiting !== undefined) return Promise.reject(new Error("asked twice at once"));
        return new Promise((resolve, reject) => {
          this.#waiting = { resolve, reject };
          this.#wake();
        });
      },
    };
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.isClosed) throw new PlyboxError("aborted", "the session is closed");
    this.written.push(Buffer.from(bytes).toString());
  }

  async endInput(): Promise<void> {
    this.inputEnded = true;
  }

  close(): void {
    this.isClosed = true;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    const event = this.isClosed ? undefined : this.#events.shift();
    if (event !== undefined) {
      this.taken += 1;
      waiting.resolve({ done: false, value: event });
    } else if (this.isClosed) waiting.resolve({ done: true, value: undefined });
    else if (this.#failure !== undefined) waiting.reject(this.#failure);
    else this.#waiting = waiting;
  }

  #report(): ExecReport {
    return {
      exec: this.exec,
      code: 0,
      signal: null,
      limit: null,
      wallMs: 1,
      userMs: 0,
      systemMs: 0,
      peakRssBytes: 0,
      stdoutBytes: 0,
      stderrBytes: 0,
    };
  }
}
