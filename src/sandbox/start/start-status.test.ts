import { describe, expect, it } from "vitest";
import type { StartCommand, StartCommandSpec, StartEnd } from "../../model/start-command.ts";
import { afterEnd, newStartCommand, nextRun, restarted } from "./start-status.ts";

const exited = (code: number): StartEnd => ({ kind: "exited", code, signal: null });
const KILLED: StartEnd = { kind: "exited", code: null, signal: "SIGKILL" };
const REFUSED: StartEnd = { kind: "refused", code: "exec/program-not-found", message: "no such program" };
const UNSEEN: StartEnd = { kind: "unseen" };

const start = (spec: Partial<StartCommandSpec> = {}) => newStartCommand({ command: "serve", ...spec });
const kindAfter = (spec: Partial<StartCommandSpec>, end: StartEnd) => afterEnd(start(spec), end, 0).status.kind;

/** The delays before so many restarts, each run having taken so long. */
function delays(spec: Partial<StartCommandSpec>, ranMs: readonly number[]): number[] {
  let command: StartCommand = start({ restart: "always", ...spec });
  return ranMs.map((ran) => {
    command = afterEnd(command, exited(1), ran);
    const { status } = command;
    command = nextRun(command);
    return status.kind === "waiting" ? status.delayMs : -1;
  });
}

describe("a start command", () => {
  it("is about to run from the first, under an id that is its own", () => {
    const { status, restarts, lastEnd } = start();
    expect({ status, restarts, lastEnd }).toEqual({
      status: { kind: "running", exec: expect.stringMatching(/^ex_/), pid: null },
      restarts: 0,
      lastEnd: null,
    });
    expect(start().status).not.toEqual(status);
  });

  it.each([
    ["never", exited(0), "done"],
    ["never", exited(1), "done"],
    ["on-failure", exited(0), "done"],
    ["on-failure", exited(1), "waiting"],
    ["on-failure", KILLED, "waiting"],
    ["on-failure", REFUSED, "waiting"],
    ["on-failure", UNSEEN, "waiting"],
    ["always", exited(0), "waiting"],
    ["always", REFUSED, "waiting"],
  ] as const)("with restart %s is after %j %s", (restart, end, kind) => {
    expect(kindAfter({ restart }, end)).toBe(kind);
    expect(afterEnd(start({ restart }), end, 0).lastEnd).toEqual(end);
  });

  it("is put off twice as long each time, up to its longest", () => {
    expect(delays({}, [0, 0, 0, 0])).toEqual([100, 200, 400, 800]);
    expect(delays({ backoffMs: 7, maxBackoffMs: 20 }, [0, 0, 0])).toEqual([7, 14, 20]);
    expect(
      delays(
        {},
        Array.from({ length: 60 }, () => 0),
      ).at(-1),
    ).toBe(60_000);
  });

  it("is put off for a short time again when it had run for long", () => {
    expect(delays({}, [0, 0, 9999, 10_000, 0])).toEqual([100, 200, 400, 100, 200]);
  });

  it("is left as it ended after so many restarts", () => {
    expect(delays({ maxRestarts: 2 }, [0, 0, 0])).toEqual([100, 200, -1]);
    expect(delays({ maxRestarts: 0 }, [0])).toEqual([-1]);
    expect(afterEnd(start({ restart: "always", maxRestarts: 0 }), exited(1), 0).status).toEqual({ kind: "done" });
  });

  it("begins to count anew when its sandbox starts again, and keeps how it ended", () => {
    const ended = afterEnd(start({ restart: "always" }), exited(1), 0);
    expect(restarted(ended)).toMatchObject({ restarts: 0, streak: 0, lastEnd: exited(1), status: { kind: "running" } });
  });
});
