import { describe, expect, it } from "vitest";
import { sandboxRecord } from "../../test/support/sandbox-record.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecId } from "../model/ids.ts";
import type { Sandbox, SandboxState } from "../model/sandbox.ts";
import { newStartCommand } from "./start/start-status.ts";
import { requireState, transition } from "./transitions.ts";

const FAILURE = { type: "launch-failed", message: "no space", step: null, errno: null } as const;

const STATES: readonly SandboxState[] = [
  { kind: "creating" },
  { kind: "starting" },
  { kind: "running", pid: 7, startTime: 100 },
  { kind: "paused", pid: 7, startTime: 100 },
  { kind: "stopping", pid: 7, startTime: 100, reason: { type: "asked" } },
  { kind: "stopped", reason: { type: "exited", code: 0, signal: null } },
  { kind: "failed", reason: FAILURE },
  { kind: "lost", reason: { type: "upper-gone" } },
  { kind: "destroyed", reason: { type: "asked" } },
];

const ALLOWED = new Set([
  "creating → running",
  "creating → destroyed",
  "starting → running",
  "starting → stopped",
  "starting → failed",
  "starting → lost",
  "starting → destroyed",
  "running → paused",
  "running → stopping",
  "running → stopped",
  "running → failed",
  "running → lost",
  "running → destroyed",
  "paused → running",
  "paused → stopping",
  "paused → stopped",
  "paused → failed",
  "paused → lost",
  "paused → destroyed",
  "stopping → stopped",
  "stopping → lost",
  "stopping → destroyed",
  "stopped → starting",
  "stopped → lost",
  "stopped → destroyed",
  "failed → starting",
  "failed → lost",
  "failed → destroyed",
  "lost → destroyed",
]);

const inState = (state: SandboxState): Sandbox => sandboxRecord({ state, readyProbe: null, ready: null });

const PAIRS = STATES.flatMap((from) =>
  STATES.map((next) => ({ name: `${from.kind} → ${next.kind}`, from: from.kind, sandbox: inState(from), next })),
);

describe("transition", () => {
  it.each(PAIRS.filter(({ name }) => ALLOWED.has(name)))("allows $name and changes only the state", (pair) => {
    expect(transition(pair.sandbox, pair.next)).toEqual({ ...pair.sandbox, state: pair.next });
    expect(pair.sandbox.state.kind).toBe(pair.from);
  });

  it.each(PAIRS.filter(({ name }) => !ALLOWED.has(name)))("refuses $name", ({ sandbox, next }) => {
    expect(codeOf(() => transition(sandbox, next))).toBe("sandbox/wrong-state");
  });

  it("knows every pair that the table above allows", () => {
    expect(PAIRS.filter(({ name }) => ALLOWED.has(name))).toHaveLength(ALLOWED.size);
  });
});

describe("what follows from a transition", () => {
  const running: SandboxState = { kind: "running", pid: 7, startTime: 100 };
  const paused: SandboxState = { kind: "paused", pid: 7, startTime: 100 };
  const status = { kind: "running", exec: "ex_x" as ExecId, pid: 3 } as const;
  const start = { ...newStartCommand({ command: "serve" }), status };
  const before = sandboxRecord({ state: running, readyProbe: { kind: "tcp", port: 80 }, ready: true, start });

  it("is nothing while there are processes", () => {
    expect(transition(before, paused)).toMatchObject({ ready: true, start: { status } });
  });

  it.each(STATES.filter(({ kind }) => ["stopping", "stopped", "lost", "destroyed"].includes(kind)))(
    "is that nothing is ready and no command runs in one that is $kind",
    (next) => {
      expect(transition(before, next)).toMatchObject({ ready: false, start: { status: { kind: "idle" } } });
    },
  );

  it("keeps the run that was chosen for a start", () => {
    const stopped = sandboxRecord({ state: { kind: "stopped", reason: { type: "asked" } }, start });
    expect(transition(stopped, { kind: "starting" })).toMatchObject({ ready: false, start: { status } });
  });
});

describe("requireState", () => {
  it("answers the state with what only that state has", () => {
    const { pid, startTime } = requireState("exec", { kind: "running", pid: 7, startTime: 100 }, "running");
    expect([pid, startTime]).toEqual([7, 100]);
  });

  it("takes any of the states that will do", () => {
    const paused = { kind: "paused", pid: 7, startTime: 100 } as const;
    expect(requireState("stop", paused, "running", "paused")).toBe(paused);
  });

  it.each([
    ["creating", "sandbox/wrong-state"],
    ["starting", "sandbox/wrong-state"],
    ["paused", "sandbox/paused"],
    ["stopping", "sandbox/wrong-state"],
    ["stopped", "sandbox/wrong-state"],
    ["failed", "sandbox/wrong-state"],
    ["lost", "sandbox/lost"],
    ["destroyed", "sandbox/wrong-state"],
  ])("refuses a sandbox that is %s with %s", (kind, code) => {
    const state = STATES.find((candidate) => candidate.kind === kind) as SandboxState;
    expect(codeOf(() => requireState("exec", state, "running"))).toBe(code);
  });

  it("says why the state is what it is", () => {
    expect(() => requireState("exec", { kind: "failed", reason: FAILURE }, "running")).toThrow(
      "cannot exec while the sandbox is failed: no space",
    );
  });
});

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof PlyboxError) return error.code;
    throw error;
  }
  return "nothing was thrown";
}
