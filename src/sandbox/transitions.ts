import type { ErrorCode } from "../model/errors.ts";
import { PlyboxError } from "../model/errors.ts";
import { describeReason } from "../model/reason.ts";
import type { Sandbox, SandboxState } from "../model/sandbox.ts";

type Kind = SandboxState["kind"];

/** Which state may follow which. */
const TRANSITIONS: Readonly<Record<Kind, readonly Kind[]>> = {
  creating: ["running", "destroyed"],
  starting: ["running", "stopped", "failed", "lost", "destroyed"],
  running: ["paused", "stopping", "stopped", "failed", "lost", "destroyed"],
  paused: ["running", "stopping", "stopped", "failed", "lost", "destroyed"],
  stopping: ["stopped", "lost", "destroyed"],
  stopped: ["starting", "lost", "destroyed"],
  failed: ["starting", "lost", "destroyed"],
  lost: ["destroyed"],
  destroyed: [],
};

/**
 * The sandbox in its next state, with what follows from it: without processes nothing is ready, and no command runs.
 * @throws PlyboxError `sandbox/wrong-state`
 */
export function transition(sandbox: Sandbox, next: SandboxState): Sandbox {
  if (!TRANSITIONS[sandbox.state.kind].includes(next.kind)) {
    throw new PlyboxError("sandbox/wrong-state", `a sandbox that is ${sandbox.state.kind} cannot become ${next.kind}`);
  }
  const { readyProbe, start, ready } = sandbox;
  const hasProcesses = next.kind === "running" || next.kind === "paused";
  return {
    ...sandbox,
    state: next,
    ready: readyProbe === null ? null : hasProcesses && ready === true,
    start: start === null || hasProcesses || next.kind === "starting" ? start : { ...start, status: { kind: "idle" } },
  };
}

/**
 * The state, where it is one of those that `verb` needs.
 * @throws PlyboxError `sandbox/wrong-state`, `sandbox/paused`, `sandbox/lost`
 */
export function requireState<K extends Kind>(verb: string, state: SandboxState, ...kinds: readonly K[]) {
  if ((kinds as readonly Kind[]).includes(state.kind)) return state as Extract<SandboxState, { kind: K }>;
  const reason = "reason" in state ? `: ${describeReason(state.reason)}` : "";
  throw new PlyboxError(codeFor(state), `cannot ${verb} while the sandbox is ${state.kind}${reason}`);
}

function codeFor({ kind }: SandboxState): ErrorCode {
  if (kind === "lost") return "sandbox/lost";
  return kind === "paused" ? "sandbox/paused" : "sandbox/wrong-state";
}
