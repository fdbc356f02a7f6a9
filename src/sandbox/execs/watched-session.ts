import type { ExecEvent, ExecReport, ExecSession } from "../../model/exec.ts";

export interface SessionWatch {
  /** The command has ended. */
  readonly onExit: (report: ExecReport) => void;
  /** Nobody listens here any more, and the command may go on. Called at most once, and never after `onExit`. */
  readonly onLeft: () => void;
}

/** The same session, with somebody who is told of the command's end or of the listener's leaving. */
export function watchedSession(session: ExecSession, { onExit, onLeft }: SessionWatch): ExecSession {
  let isOver = false;
  const leave = (): void => {
    if (isOver) return;
    isOver = true;
    onLeft();
  };
  return {
    exec: session.exec,
    pid: session.pid,
    write: (bytes) => session.write(bytes),
    endInput: () => session.endInput(),
    close() {
      session.close();
      leave();
    },
    [Symbol.asyncIterator]() {
      const events = session[Symbol.asyncIterator]();
      return {
        async next(): Promise<IteratorResult<ExecEvent>> {
          try {
            const result = await events.next();
            if (result.done === true) leave();
            else if (result.value.kind === "exit" && !isOver) {
              isOver = true;
              onExit(result.value.report);
            }
            return result;
          } catch (error) {
            leave();
            throw error;
          }
        },
        async return(): Promise<IteratorResult<ExecEvent>> {
          const result = (await events.return?.()) ?? { done: true, value: undefined };
          leave();
          return result;
        },
      };
    },
  };
}
