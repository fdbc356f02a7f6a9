import type { ExecEvent, ExecSession } from "../model/exec.ts";
import type { Activity } from "./activity.ts";

/** A session that counts as activity for as long as its client listens and the command goes on. */
export function activeSession(session: ExecSession, activity: Activity): ExecSession {
  const end = activity.hold();
  return {
    exec: session.exec,
    pid: session.pid,
    write: (bytes) => session.write(bytes),
    endInput: () => session.endInput(),
    close() {
      end();
      session.close();
    },
    [Symbol.asyncIterator]() {
      const events = session[Symbol.asyncIterator]();
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
    },
  };
}
