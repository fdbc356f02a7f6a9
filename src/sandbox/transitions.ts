import { PlyboxError } from "../model/errors.ts";
import type { Sandbox, SandboxState } from "../model/sandbox.ts";

type Kind = SandboxState["kind"];

/** Which state may follow which. */
const TRANSITIONS: Readonly<Record<Kind, readonly Kind[]>> = {
  creating: ["running", "failed", "destroyed"],
  running: ["stopped", "failed", "lost", "destroyed"],
  stopped: ["destroyed"],
  failed: ["destroyed"],
  lost: ["destroyed"],
  destroyed: [],
};

/**
 * The sandbox in its next state.
 * @throws PlyboxError `sandbox/wrong-state`
 */
export function transition(sandbox: Sandbox, next: SandboxState): Sandbox {
  if (!TRANSITIONS[sandbox.state.kind].includes(next.kind)) {
    throw new PlyboxError("sandbox/wrong-state", `a sandbox that is ${sandbox.state.kind} cannot become ${next.kind}`);
  }
  return { ...sandbox, state: next };
}

/**
 * The state, where it is the one that `verb` needs.
 * @throws PlyboxError `sandbox/wrong-state`, `sandbox/lost`
 */
export function requireState<K extends Kind>(verb: string, state: SandboxState, kind: K) {
  if (state.kind === kind) return state as Extract<SandboxState, { kind: K }>;
  const reason = "reason" in state ? `: ${state.reason}` : "";
  const code = state.kind === "lost" ? "sandbox/lost" : "sandbox/wrong-state";
  throw new PlyboxError(code, `cannot ${verb} in a sandbox that is ${state.kind}${reason}`);
}
