import type { SandboxState } from "../../model/sandbox.ts";
import { LiveSandbox } from "../live-sandbox.ts";
import type { RegistryEntry } from "../registry.ts";
import type { LifecycleContext } from "./context.ts";
import { enter, planFor } from "./context.ts";
import { watch } from "./launching.ts";
import { destroy } from "./removal.ts";

/** Takes over a sandbox of an earlier daemon, or finishes what that daemon had begun with it. */
export async function recoverSandbox(context: LifecycleContext, { sandbox, digests }: RegistryEntry): Promise<void> {
  const live = new LiveSandbox(sandbox);
  context.ids.claim(sandbox.idBase);
  context.live.add(live);
  const { state } = sandbox;
  try {
    if (state.kind === "running") await adopt(context, live, state, digests);
    // One half made was promised to nobody; one half removed was promised to be gone.
    else if (state.kind === "creating" || state.kind === "destroyed") await destroy(context, live);
  } catch (err) {
    context.log.warn({ sandbox: sandbox.id, err }, "a sandbox could not be recovered");
    if (live.sandbox.state.kind === "running") {
      enter(context, live, { kind: "lost", reason: err instanceof Error ? err.message : String(err) });
    }
  }
}

async function adopt(
  context: LifecycleContext,
  live: LiveSandbox,
  { pid, startTime }: Extract<SandboxState, { kind: "running" }>,
  digests: readonly string[],
): Promise<void> {
  const lease = await context.layers.adopt(digests);
  live.lease = lease;
  const running = await context.backend.adopt(planFor(context, live.sandbox, lease), { pid, startTime });
  if (running === undefined) {
    await lease.release();
    enter(context, live, { kind: "lost", reason: "its processes ended while no daemon ran" });
    return;
  }
  live.running = running;
  watch(context, live, running);
}
