import type { SandboxState } from "../../model/sandbox.ts";
import { finishGraft } from "../composition/grafting.ts";
import { hasUpper } from "../launch-plan.ts";
import { LiveSandbox } from "../live-sandbox.ts";
import type { KeptEntry } from "../registry.ts";
import type { LifecycleContext } from "./context.ts";
import { enter, NO_LAYERS, planFor } from "./context.ts";
import { watch } from "./launching.ts";
import { destroy } from "./removal.ts";

/** Takes over a sandbox of an earlier daemon, or finishes what that daemon had begun with it. */
export async function recoverSandbox(context: LifecycleContext, entry: KeptEntry): Promise<void> {
  const { sandbox } = entry;
  const live = new LiveSandbox(sandbox, context.agentPatienceMs);
  context.ids.claim(sandbox.idBase);
  context.live.add(live);
  try {
    await recover(context, live, entry);
  } catch (err) {
    context.log.warn({ sandbox: sandbox.id, err }, "a sandbox could not be recovered");
    const { kind } = live.sandbox.state;
    if (kind === "creating" || kind === "destroyed" || kind === "lost") return;
    const message = err instanceof Error ? err.message : String(err);
    enter(context, live, { kind: "lost", reason: { type: "unrecoverable", message } });
  }
}

async function recover(context: LifecycleContext, live: LiveSandbox, entry: KeptEntry): Promise<void> {
  const { digests } = entry;
  const { state } = live.sandbox;
  switch (state.kind) {
    case "creating":
      // One half made was promised to nobody.
      return await destroy(context, live, { type: "interrupted", during: "create" });
    case "destroyed":
      // One half removed was promised to be gone.
      return await destroy(context, live, state.reason);
    case "lost":
      return;
    case "stopped":
    case "failed":
      // It is said before its processes are ended and what is left of them is taken away.
      await discard(context, live);
      return await keepStopped(context, live, digests);
    case "starting":
      await discard(context, live);
      enter(context, live, { kind: "stopped", reason: { type: "interrupted", during: "start" } });
      return await keepStopped(context, live, digests);
    case "stopping":
      await discard(context, live);
      enter(context, live, { kind: "stopped", reason: state.reason });
      return await keepStopped(context, live, digests);
    case "running":
    case "paused":
      return await adopt(context, live, state, entry);
  }
}

async function adopt(
  context: LifecycleContext,
  live: LiveSandbox,
  state: Extract<SandboxState, { kind: "running" | "paused" }>,
  { digests, hasRebooted }: KeptEntry,
): Promise<void> {
  const { pid, startTime } = state;
  const lease = await context.layers.adopt(digests);
  live.lease = lease;
  const plan = planFor(context, live.sandbox, lease);
  // Pid and start time name a process of one boot: after another, they may be those of anything.
  const running = hasRebooted ? undefined : await context.backend.adopt(plan, { pid, startTime });
  if (running === undefined) {
    await discard(context, live);
    enter(context, live, { kind: "stopped", reason: { type: "exited", code: null, signal: null } });
    return await keepStopped(context, live, digests);
  }
  live.running = running;
  await finishGraft(context, live);
  // What was announced holds: a pause, or its end, that was not finished is taken back.
  if (state.kind === "paused") await running.pause();
  else await running.resume();
  watch(context, live, running);
}

/** A sandbox without processes keeps its layers and what it wrote, where that outlived the machine's start. */
async function keepStopped(context: LifecycleContext, live: LiveSandbox, digests: readonly string[]): Promise<void> {
  if (!hasUpper(live.sandbox, context.places)) {
    await live.lease?.release();
    enter(context, live, { kind: "lost", reason: { type: "upper-gone" } });
    return;
  }
  live.lease ??= await context.layers.adopt(digests);
}

async function discard(context: LifecycleContext, live: LiveSandbox): Promise<void> {
  await context.backend.discard(planFor(context, live.sandbox, NO_LAYERS), { keepUpper: true });
}
