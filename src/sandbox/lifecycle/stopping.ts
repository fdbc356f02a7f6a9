import { setTimeout as delay } from "node:timers/promises";
import type { Running } from "../../backends/backend.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { EndReason, FailureReason } from "../../model/reason.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import { isViolation } from "../../wire/peer-errors.ts";
import { hasUpper } from "../launch-plan.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { ensureSaved } from "../saves/saving.ts";
import { restarted } from "../start/start-status.ts";
import { requireState } from "../transitions.ts";
import { mendImage } from "../uppers/mend-image.ts";
import { withRoomToMount } from "../uppers/room-to-mount.ts";
import type { LifecycleContext } from "./context.ts";
import { enter, NO_LAYERS, planFor } from "./context.ts";
import { greet, launch, watch } from "./launching.ts";

/** What an agent gives its processes after SIGTERM, and then some. */
const GRACE_MS = 3000;

/**
 * Ends the processes of a sandbox and keeps what it wrote, where that is to be in object storage. Harmless without
 * processes. To be called exclusively.
 * @throws PlyboxError `remote/…`, when it has no processes any more and what it wrote is only here
 */
export async function stopSandbox(context: LifecycleContext, live: LiveSandbox, reason: EndReason): Promise<void> {
  await endProcesses(context, live, reason);
  await ensureSaved(context, live);
}

/** As a stop that is followed by a start. */
export async function endProcesses(context: LifecycleContext, live: LiveSandbox, reason: EndReason): Promise<void> {
  const { state } = live.sandbox;
  if (state.kind === "stopped" || state.kind === "failed") return;
  // An earlier stop could not be finished.
  if (state.kind === "stopping") return await finishStop(context, live, state.reason);
  const { pid, startTime } = requireState("stop", state, "running", "paused");
  const { running } = live;
  // Frozen processes could not end in their own way.
  await running?.resume();
  enter(context, live, { kind: "stopping", pid, startTime, reason });
  if (running !== undefined) await endGently(live, running);
  await finishStop(context, live, reason);
}

async function finishStop(context: LifecycleContext, live: LiveSandbox, reason: EndReason): Promise<void> {
  await clear(context, live);
  enter(context, live, { kind: "stopped", reason });
}

/** Starts a sandbox again on what it wrote. Harmless when it runs. To be called exclusively. */
export async function startSandbox(context: LifecycleContext, live: LiveSandbox): Promise<void> {
  if (live.sandbox.state.kind === "running") return;
  const { kind } = requireState("start", live.sandbox.state, "stopped", "failed");
  // An earlier end may have left something.
  if (live.running !== undefined || kind === "failed") await clear(context, live);
  if (!hasUpper(live.sandbox, context.places)) {
    enter(context, live, { kind: "lost", reason: { type: "upper-gone" } });
    throw new PlyboxError("sandbox/lost", "what the sandbox wrote is gone with what held it in memory");
  }
  using filter = context.filters.leaseFor(live.sandbox);
  const seccomp = await filter.plan();
  enter(context, live, { kind: "starting" }, nextIncarnation(live.sandbox));
  try {
    const plan = planFor(context, live.sandbox, live.lease ?? NO_LAYERS, seccomp);
    if (plan.root.upper.kind === "image") await mendImage(plan.root.upper.image);
    const running = await withRoomToMount(context.snapshots, live.sandbox, () => launch(context, live, plan));
    await greet(live, running);
    const { pid, startTime } = running.process;
    live.activity.touch();
    enter(context, live, { kind: "running", pid, startTime });
    watch(context, live, running);
  } catch (error) {
    await clear(context, live).catch((err) => context.log.warn({ err }, "a failed start could not be cleared away"));
    enter(context, live, { kind: "failed", reason: failureOf(error) });
    throw error;
  }
}

/** The agent asks the processes to end, and then makes them; its own end is that of the sandbox. */
async function endGently(live: LiveSandbox, running: Running): Promise<void> {
  const overdue = new AbortController();
  const late = delay(GRACE_MS, undefined, { signal: overdue.signal }).catch(() => {});
  try {
    const agent = await live.agent(running);
    await Promise.race([agent.stop(), late]);
    await Promise.race([running.exited, late]);
  } catch {
    // An agent that does not answer is killed with everything else.
  } finally {
    overdue.abort();
  }
}

/** Ends what still runs, and takes it off the host. */
async function clear(context: LifecycleContext, live: LiveSandbox): Promise<void> {
  live.closeLink();
  if (live.running !== undefined) await live.running.end();
  else await context.backend.discard(planFor(context, live.sandbox, NO_LAYERS), { keepUpper: true });
  live.running = undefined;
}

/** The sandbox as it starts again: a later incarnation, so that nothing that was meant for the earlier one reaches it. */
function nextIncarnation({ incarnation, lifetimeMs, onExpire, expiresAt, start }: Sandbox): Partial<Sandbox> {
  // A lifetime that only stops is one of each start; one that destroys is the sandbox's whole.
  const isRenewed = onExpire === "stop" && lifetimeMs !== null;
  return {
    incarnation: incarnation + 1,
    grafting: null,
    expiresAt: isRenewed ? new Date(Date.now() + lifetimeMs) : expiresAt,
    start: start && restarted(start),
  };
}

function failureOf(error: unknown): FailureReason {
  const known = error instanceof PlyboxError ? error : undefined;
  if (known !== undefined && isViolation(known)) return { type: "agent-misbehaved", message: known.message };
  return {
    type: "launch-failed",
    message: known?.message ?? "the sandbox could not be started",
    step: known?.step ?? null,
    errno: known?.errno ?? null,
  };
}
