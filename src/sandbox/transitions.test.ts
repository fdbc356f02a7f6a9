import { describe, expect, it } from "vitest";
import { PlyboxError } from "../model/errors.ts";
import type { Sandbox, SandboxState } from "../model/sandbox.ts";
import { requireState, transition } from "./transitions.ts";

const STATES: readonly SandboxState[] = [
  { kind: "creating" },
  { kind: "running", pid: 7, startTime: 100 },
  { kind: "stopped", code: 0, signal: null },
  { kind: "failed", reason: "no space" },
  { kind: "lost", reason: "its agent is gone" },
  { kind: "destroyed" },
];

const ALLOWED = new Set([
  "creating → running",
  "creating → failed",
  "creating → destroyed",
  "running → stopped",
  "running → failed",
  "running → lost",
  "running → destroyed",
  "stopped → destroyed",
  "failed → destroyed",
  "lost → destroyed",
]);

const PAIRS = STATES.flatMap((from) =>
  STATES.map((next) => ({ name: `${from.kind} → ${next.kind}`, from: from.kind, sandbox: inState(from), next })),
);

/** Of a sandbox the transitions look at nothing but its state. */
function inState(state: SandboxState): Sandbox {
  return { id: "sb_x", incarnation: 3, state } as unknown as Sandbox;
}

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

describe("requireState", () => {
  it("answers the state with what only that state has", () => {
    const { pid, startTime } = requireState("exec", { kind: "running", pid: 7, startTime: 100 }, "running");
    expect([pid, startTime]).toEqual([7, 100]);
  });

  it.each([
    ["creating", "sandbox/wrong-state"],
    ["stopped", "sandbox/wrong-state"],
    ["failed", "sandbox/wrong-state"],
    ["lost", "sandbox/lost"],
    ["destroyed", "sandbox/wrong-state"],
  ])("refuses a sandbox that is %s with %s", (kind, code) => {
    const state = STATES.find((candidate) => candidate.kind === kind) as SandboxState;
    expect(codeOf(() => requireState("exec", state, "running"))).toBe(code);
  });

  it("says why the state is what it is", () => {
    expect(() => requireState("exec", { kind: "failed", reason: "no space" }, "running")).toThrow(
      "cannot exec in a sandbox that is failed: no space",
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
