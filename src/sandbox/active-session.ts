import type { ExecEvent, ExecSession, OutputReading } from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import type { Activity } from "./activity.ts";

/** A session that counts as activity for as long as its client listens and the command goes on. */
export class ActiveSession implements ExecSession {
  readonly exec: ExecId;
  readonly pid: number;
  readonly #session: ExecSession;
  readonly #end: () => void;

  constructor(session: ExecSession, activity: Activity) {
    this.exec = session.exec;
    this.pid = session.pid;
    this.#session = session;
    this.#end = activity.hold();
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#session.write(bytes);
  }

  endInput(): Promise<void> {
    return this.#session.endInput();
  }

  close(): void {
    this.#end();
    this.#session.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecEvent> {
    return activeEvents(this.#session, this.#end);
  }
}

/** The same of one who reads beside. */
export function activeReading(reading: OutputReading, activity: Activity): OutputReading {
  const end = activity.hold();
  const { exec, pid, stdout, stderr, report } = reading;
  return {
    exec,
    pid,
    stdout,
    stderr,
    report,
    close() {
      end();
      reading.close();
    },
    [Symbol.asyncIterator]: () => activeEvents(reading, end),
  };
}

function activeEvents(source: AsyncIterable<ExecEvent>, end: () => void): AsyncIterator<ExecEvent> {
  const events = source[Symbol.asyncIterator]();
  return {
    async next(): Promise<IteratorResult<ExecEvent>> {
      try {
        const result = await events.next();
        if (result.done === true || result.value.kind === "exit") end();
        return result;
      } catch (error) {
        end();
        throw error;
      }
    },
    async return(): Promise<IteratorResult<ExecEvent>> {
      end();
      return (await events.return?.()) ?? { done: true, value: undefined };
    },
  };
}
