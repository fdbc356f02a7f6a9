import type { Running } from "../../backends/backend.ts";
import type { UndoStack } from "../../base/undo-stack.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { LaunchPlan } from "../../model/launch-plan.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import type { LifecycleContext } from "./context.ts";
import { enter } from "./context.ts";

/**
 * Starts a sandbox's processes; resolves when its agent has answered, which is the proof that it works. What was begun
 * is on `undo`.
 * @throws PlyboxError `sandbox/launch-failed`, `agent/unreachable`, `launcher/failed`
 */
export async function launch(
  { backend, log }: LifecycleContext,
  live: LiveSandbox,
  plan: LaunchPlan,
  undo: UndoStack,
): Promise<Running> {
  const running = await backend.launch(plan).catch(asLaunchFailure);
  undo.push("end the sandbox", async () => running[Symbol.asyncDispose]());
  live.running = running;
  log.debug({ sandbox: plan.id, steps: running.steps }, "launched");
  await (await live.agent(running)).hello;
  return running;
}

/** Notes the end of a sandbox that nobody asked for. */
export function watch(context: LifecycleContext, live: LiveSandbox, running: Running): void {
  void running.exited.then(({ code, signal }) => {
    live.closeLink();
    if (live.sandbox.state.kind !== "running" || context.isStopping()) return;
    enter(context, live, { kind: "stopped", code, signal });
  });
}

function asLaunchFailure(error: unknown): never {
  if (!(error instanceof PlyboxError) || error.code !== "launcher/failed") throw error;
  const { step, errno } = error;
  throw new PlyboxError("sandbox/launch-failed", `the sandbox could not be started: ${error.message}`, {
    cause: error,
    ...(step !== undefined && { step }),
    ...(errno !== undefined && { errno }),
  });
}
