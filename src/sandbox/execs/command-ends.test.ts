import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { NewExecRecord } from "../../model/exec-record.ts";
import type { ExecId } from "../../model/ids.ts";
import { newExecId, newSandboxId } from "../../model/ids.ts";
import { CommandEnds } from "./command-ends.ts";
import { ExecHistory } from "./exec-history.ts";

const sandbox = newSandboxId();
const never = (): never => {
  throw new Error("nobody is asked");
};

let history: ExecHistory;
let ends: CommandEnds;
beforeEach(() => {
  vi.useFakeTimers();
  history = new ExecHistory(new Database(":memory:"));
  ends = new CommandEnds({
    sandboxes: { get: never, list: () => [], execs: never, wait: never },
    agents: { announce: never },
    history,
    log: { warn: never },
  });
});
afterEach(() => {
  ends.close();
  vi.useRealTimers();
});

const recordOf = (exec: ExecId): NewExecRecord => ({
  ...{ sandbox, exec, by: "me", command: ["true"], cwd: null, user: null, pty: false, detached: false, digest: null },
});

describe("a command that is written down soon", () => {
  it("is written by itself", () => {
    const exec = newExecId();
    ends.beginSoon(recordOf(exec));
    expect(history.find(sandbox, exec)).toBeUndefined();
    vi.advanceTimersByTime(20);
    expect(history.find(sandbox, exec)).toMatchObject({ exec, phase: "starting" });
  });

  it("is there for whoever asks before", () => {
    const exec = newExecId();
    ends.beginSoon(recordOf(exec));
    expect(ends.find(sandbox, exec)).toMatchObject({ exec });
  });

  it("is not written when it has not been started", () => {
    const exec = newExecId();
    ends.beginSoon(recordOf(exec));
    ends.forget(sandbox, exec);
    expect(ends.find(sandbox, exec)).toBeUndefined();
  });

  it("goes with its sandbox, written or not", () => {
    ends.beginSoon(recordOf(newExecId()));
    ends.forgetSandbox(sandbox);
    vi.advanceTimersByTime(20);
    expect(history.sandboxes()).toEqual([]);
  });

  it("is written when the daemon goes", () => {
    const exec = newExecId();
    ends.beginSoon(recordOf(exec));
    ends.close();
    expect(history.find(sandbox, exec)).toBeDefined();
  });
});
