import type { TerminalSizeBody } from "../api/contract.ts";
import type { Command, ExitReport } from "./command.ts";
import type { CallOptions, Connection } from "./connection.ts";

/** Of a terminal, in characters. */
export type TerminalSize = Readonly<TerminalSizeBody>;

/**
 * A command on a terminal. Iterate over it for what the terminal shows, once; a slow iteration holds back the command
 * and not this process's memory. The command does not depend on it: `close` only stops listening.
 */
export class Terminal implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly exec: string;
  /** The pid inside the sandbox. */
  readonly pid: number;
  readonly #command: Command;
  readonly #connection: Connection;
  readonly #path: string;
  #waiting: Uint8Array[] = [];
  #sending: Promise<void> | undefined;
  #lostBytes = 0;

  /** @param sandboxPath path of the sandbox, such as `/v1/sandboxes/web` */
  constructor(command: Command, connection: Connection, sandboxPath: string) {
    this.exec = command.exec;
    this.pid = command.pid;
    this.#command = command;
    this.#connection = connection;
    this.#path = `${sandboxPath}/execs/${command.exec}`;
  }

  /** Bytes of what was shown so far that were no longer kept when this began to listen. */
  get lostBytes(): number {
    return this.#lostBytes;
  }

  /** Bytes shown since the command began, up to the last that was taken: where another listener goes on. */
  get offset(): number {
    return this.#command.offsets.stdout;
  }

  /** How the command ended. Asking for it takes, and drops, what no iteration has taken. */
  get exit(): Promise<ExitReport> {
    return this.#command.exit;
  }

  /** Leaving a loop early keeps the rest for the next one, or for `exit`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const event of this.#command) {
      if (event.kind === "output") yield event.bytes;
      else if (event.kind === "lost") this.#lostBytes += event.to - event.from;
    }
  }

  /**
   * Types. Keys arrive in their order; those that are typed while earlier ones are on their way go together. Resolves
   * when the terminal has taken them.
   */
  write(keys: string | Uint8Array): Promise<void> {
    this.#waiting.push(typeof keys === "string" ? new TextEncoder().encode(keys) : keys);
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  /** Tells the command that the terminal has another size. */
  async resize(size: TerminalSize, options?: CallOptions): Promise<void> {
    await this.#connection.json("POST", `${this.#path}/resize`, size, options);
  }

  /** Sends a signal to the command's process group: SIGHUP by default, as a line that is cut. Harmless after the end. */
  async kill(signal = "SIGHUP", options?: CallOptions): Promise<void> {
    await this.#command.kill(signal, options);
  }

  /** Stops listening; the command goes on. Idempotent. */
  close(): void {
    this.#command.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async #send(): Promise<void> {
    while (this.#waiting.length > 0) {
      const keys = joined(this.#waiting);
      this.#waiting = [];
      await this.#command.write(keys);
    }
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const piece of pieces) {
    whole.set(piece, end);
    end += piece.length;
  }
  return whole;
}
