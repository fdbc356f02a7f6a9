import { PlyboxError } from "../../model/errors.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireState } from "../transitions.ts";
import type { LifecycleContext } from "./context.ts";
import { enter } from "./context.ts";

/** Freezes the processes of a sandbox. Harmless when they are frozen. To be called exclusively. */
export async function pauseSandbox(context: LifecycleContext, live: LiveSandbox): Promise<void> {
  if (live.sandbox.state.kind === "paused") return;
  requireState("pause", live.sandbox.state, "running");
  if (!context.backend.capabilities.pause) {
    throw new PlyboxError("host/missing", "this machine has no freezer, so a sandbox cannot be paused");
  }
  await live.running?.pause();
  // It may have ended meanwhile.
  const { pid, startTime } = requireState("pause", live.sandbox.state, "running");
  enter(context, live, { kind: "paused", pid, startTime });
}

/** Lets the processes of a sandbox go on. Harmless when they do. To be called exclusively. */
export async function resumeSandbox(context: LifecycleContext, live: LiveSandbox): Promise<void> {
  if (live.sandbox.state.kind === "running") return;
  requireState("resume", live.sandbox.state, "paused");
  await live.running?.resume();
  const { pid, startTime } = requireState("resume", live.sandbox.state, "paused");
  live.activity.touch();
  enter(context, live, { kind: "running", pid, startTime });
}
