import type { ExecEvent, ExecReport, ExecSession } from "../../model/exec.ts";
import type { ExecId } from "../../model/ids.ts";

export interface SessionWatch {
  /** The command has ended. */
  readonly onExit: (report: ExecReport) => void;
  /** Nobody listens here any more, and the command may go on. Called at most once, and never after `onExit`. */
  readonly onLeft: () => void;
}

/** The same session, with somebody who is told of the command's end or of the listener's leaving. */
export class WatchedSession implements ExecSession {
  readonly exec: ExecId;
  readonly pid: number;
  readonly #session: ExecSession;
  readonly #watch: SessionWatch;
  #isOver = false;

  constructor(session: ExecSession, watch: SessionWatch) {
    this.exec = session.exec;
    this.pid = session.pid;
    this.#session = session;
    this.#watch = watch;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#session.write(bytes);
  }

  endInput(): Promise<void> {
    return this.#session.endInput();
  }

  close(): void {
    this.#session.close();
    this.#leave();
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecEvent> {
    const events = this.#session[Symbol.asyncIterator]();
    return {
      next: async (): Promise<IteratorResult<ExecEvent>> => {
        try {
          const result = await events.next();
          if (result.done === true) this.#leave();
          else if (result.value.kind === "exit") this.#ended(result.value.report);
          return result;
        } catch (error) {
          this.#leave();
          throw error;
        }
      },
      return: async (): Promise<IteratorResult<ExecEvent>> => {
        const result = (await events.return?.()) ?? { done: true, value: undefined };
        this.#leave();
        return result;
      },
    };
  }

  #ended(report: ExecReport): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#watch.onExit(report);
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#watch.onLeft();
  }
}
