import type { Running } from "../../backends/backend.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { LaunchPlan } from "../../model/launch-plan.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import type { LifecycleContext } from "./context.ts";
import { enter } from "./context.ts";

/**
 * Starts a sandbox's processes. `greet` tells whether they work.
 * @throws PlyboxError `sandbox/launch-failed`
 */
export async function launch(
  { backend, log }: LifecycleContext,
  live: LiveSandbox,
  plan: LaunchPlan,
): Promise<Running> {
  const running = await backend.launch(plan).catch(asLaunchFailure);
  live.running = running;
  log.debug({ sandbox: plan.id, steps: running.steps }, "launched");
  return running;
}

/** Resolves when the agent has answered, which is the proof that the sandbox works. Throws `agent/unreachable`. */
export async function greet(live: LiveSandbox, running: Running): Promise<void> {
  await (await live.agent(running)).hello;
}

/** Notes the end of a sandbox that nobody asked for. */
export function watch(context: LifecycleContext, live: LiveSandbox, running: Running): void {
  void running.exited.then(({ code, signal }) => {
    if (live.running !== running) return;
    live.closeLink();
    const { id, state } = live.sandbox;
    if ((state.kind !== "running" && state.kind !== "paused") || context.isStopping()) return;
    enter(context, live, { kind: "stopped", reason: { type: "exited", code, signal } });
    void context.lock.run(id, () => release(context, live, running));
  });
}

/** Takes what is left of ended processes off the host; what the sandbox wrote stays. */
async function release({ log }: LifecycleContext, live: LiveSandbox, running: Running): Promise<void> {
  if (live.running !== running || live.sandbox.state.kind === "destroyed") return;
  try {
    await running.end();
    live.running = undefined;
  } catch (err) {
    // Its start, or its removal, tries again.
    log.warn({ sandbox: live.sandbox.id, err }, "an ended sandbox could not be cleared away");
  }
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
