import Database from "better-sqlite3";
import { beforeEach, describe, expect, it } from "vitest";
import type { ExecReport } from "../../model/exec.ts";
import type { NewExecRecord } from "../../model/exec-record.ts";
import type { ExecId, SandboxId } from "../../model/ids.ts";
import { newExecId, newSandboxId } from "../../model/ids.ts";
import { derivedExecId } from "./derived-exec-id.ts";
import { ExecHistory } from "./exec-history.ts";

let database: Database.Database;
let history: ExecHistory;
const sandbox = newSandboxId();

beforeEach(() => {
  database = new Database(":memory:");
  history = new ExecHistory(database, { commands: 3, ageMs: 1000 });
});

const record = (exec: ExecId, changes: Partial<NewExecRecord> = {}): NewExecRecord => ({
  ...{ sandbox, exec, by: "me", command: ["true"], cwd: null, user: null, pty: false, detached: false, digest: null },
  ...changes,
});

const reportOf = (exec: ExecId): ExecReport => ({
  ...{ exec, code: 0, signal: null, limit: null, wallMs: 1, userMs: 0, systemMs: 0, peakRssBytes: 1 },
  ...{ stdoutBytes: 0, stderrBytes: 0 },
});

function run(at: number, isEnded = true, of: SandboxId = sandbox): ExecId {
  const exec = newExecId();
  history.begin(record(exec, { sandbox: of }), new Date(at));
  history.started(of, exec, 7);
  if (isEnded) history.ended(of, reportOf(exec), new Date(at + 1));
  return exec;
}

const kept = (): readonly string[] => history.list(sandbox, { count: 100 }).map(({ exec }) => exec);

describe("the history of commands", () => {
  it("takes one command of an id, and one end of it", () => {
    const exec = newExecId();
    expect(history.begin(record(exec), new Date(1))).toBe(true);
    expect(history.begin(record(exec, { by: "another" }), new Date(2))).toBe(false);
    expect(history.find(sandbox, exec)).toMatchObject({ by: "me", phase: "starting", pid: null });
    history.started(sandbox, exec, 7);
    expect(history.ended(sandbox, reportOf(exec), new Date(3))).toBe(true);
    expect(history.ended(sandbox, { ...reportOf(exec), code: 1 }, new Date(4))).toBe(false);
    history.unseen(sandbox, exec, new Date(5));
    history.started(sandbox, exec, 8);
    expect(history.find(sandbox, exec)).toMatchObject({
      ...{ phase: "ended", pid: 7, endedAt: new Date(3), report: reportOf(exec) },
    });
  });

  it("keeps the newest, and all that runs", () => {
    const running = run(0, false);
    const ended = [1, 2, 3, 4].map((at) => run(at));
    history.trim(sandbox, new Date(5));
    expect(kept()).toEqual([...ended.slice(1).reverse(), running]);
  });

  it("forgets what ended long ago, and what is of another sandbox by itself", () => {
    const other = newSandboxId();
    run(0, true, other);
    const running = run(0, false);
    run(1);
    const late = run(1500);
    history.trim(sandbox, new Date(2000));
    expect(kept()).toEqual([late, running]);
    expect(history.sandboxes()).toHaveLength(2);
    history.forgetSandbox(other);
    expect(history.sandboxes()).toEqual([sandbox]);
    expect(history.open().map(({ exec }) => exec)).toEqual([running]);
  });

  it("is there for the next daemon", () => {
    const exec = run(1);
    expect(new ExecHistory(database).find(sandbox, exec)).toEqual(history.find(sandbox, exec));
  });

  it("cuts a long command short", () => {
    const line = newExecId();
    history.begin(record(line, { command: "x".repeat(10_000) }), new Date(0));
    expect(history.find(sandbox, line)?.command).toBe(`${"x".repeat(4096)}…`);
    const words = newExecId();
    history.begin(record(words, { command: ["a".repeat(4000), "b".repeat(4000), "c"] }), new Date(0));
    expect(history.find(sandbox, words)?.command).toEqual(["a".repeat(4000), `${"b".repeat(95)}…`, "…"]);
  });
});

describe("the id of an idempotency key", () => {
  it("is the same for the same key in the same sandbox, and another otherwise", () => {
    const id = derivedExecId(sandbox, "key");
    expect(id).toMatch(/^ex_[0-9a-hjkmnp-tv-z]{26}$/);
    expect(derivedExecId(sandbox, "key")).toBe(id);
    expect(derivedExecId(sandbox, "other")).not.toBe(id);
    expect(derivedExecId(newSandboxId(), "key")).not.toBe(id);
  });
});
