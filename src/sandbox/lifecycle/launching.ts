import type { AgentSocket, Running } from "../../backends/backend.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { LaunchPlan } from "../../model/launch-plan.ts";
import type { EndReason } from "../../model/reason.ts";
import type { SandboxState } from "../../model/sandbox.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import type { LifecycleContext } from "./context.ts";
import { enter } from "./context.ts";

/** Why a sandbox is gone that was never made. */
export const HALF_MADE: EndReason = { type: "interrupted", during: "create" };

/**
 * Starts a sandbox's processes, and connects to its agent meanwhile. `greet` tells whether they work.
 * @throws PlyboxError `sandbox/launch-failed`, `bind/changed` when a bind's source is not what was named any more
 */
export async function launch(context: LifecycleContext, live: LiveSandbox, plan: LaunchPlan): Promise<Running> {
  const { backend, log } = context;
  const connect = (socket: AgentSocket) => void live.agent(socket).catch(() => {});
  const running = await backend.launch(plan, connect).catch(async (error: unknown) => {
    live.closeLink();
    if (!(error instanceof PlyboxError) || error.step === undefined) await takeBack(context, live, plan);
    return asLaunchFailure(error, plan);
  });
  live.running = running;
  log.debug({ sandbox: plan.id, steps: running.steps }, "launched");
  return running;
}

/** What a launch that did not come to say why it failed has made, which nobody has taken back: its launcher is gone. */
async function takeBack(context: LifecycleContext, live: LiveSandbox, plan: LaunchPlan): Promise<void> {
  try {
    // What an earlier start has written stays.
    await context.backend.discard(plan, { keepUpper: plan.incarnation > 1 });
  } catch (err) {
    context.log.warn({ sandbox: plan.id, err }, "what is left of a launch could not be taken away yet");
    // Found again by whoever tries next. Nobody else gets its ids meanwhile.
    const { state } = live.sandbox;
    if (state.kind === "creating") enter(context, live, { kind: "destroyed", reason: HALF_MADE });
  }
}

/** Resolves when the agent has answered, which is the proof that the sandbox works. Throws `agent/unreachable`. */
export async function greet(live: LiveSandbox, running: Running): Promise<void> {
  await (await live.agent(running)).hello;
}

/** Notes the end of a sandbox that nobody asked for, and brings it about where its agent is not to be trusted. */
export function watch(context: LifecycleContext, live: LiveSandbox, running: Running): void {
  void running.exited.then(({ code, signal }) => {
    if (live.running !== running) return;
    live.closeLink();
    endUnasked(context, live, { kind: "stopped", reason: { type: "exited", code, signal } });
  });
  void live.misconduct().then((error) => {
    if (live.running !== running) return;
    // Commands that are followed learn why they are heard of no more.
    live.closeLink(error);
    endUnasked(context, live, { kind: "failed", reason: { type: "agent-misbehaved", message: error.message } });
  });
}

/** Where the end of a sandbox has been asked for already, that goes on; one that this process lets go of is left alone. */
function endUnasked(
  context: LifecycleContext,
  live: LiveSandbox,
  next: Extract<SandboxState, { kind: "stopped" | "failed" }>,
): void {
  const { running, sandbox } = live;
  const { id, state } = sandbox;
  if (running === undefined || (state.kind !== "running" && state.kind !== "paused") || context.isStopping()) return;
  enter(context, live, next);
  void context.lock.run(id, () => release(context, live, running));
}

/** Ends what still runs and takes it off the host; what the sandbox wrote stays. */
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

/** What tells that a path leads elsewhere, or nowhere: a symbolic link in it, a part that has gone, another kind of file. */
const CHANGED: ReadonlySet<string> = new Set(["ELOOP", "ENOENT", "ENOTDIR", "EINVAL", "ESTALE"]);

function asLaunchFailure(error: unknown, plan: LaunchPlan): never {
  if (!(error instanceof PlyboxError) || error.code !== "launcher/failed") throw error;
  const { step, errno } = error;
  const detail = { cause: error, ...(step !== undefined && { step }), ...(errno !== undefined && { errno }) };
  const path = bindAtFault(error, plan);
  if (path !== undefined && step === "open-binds" && errno !== undefined && CHANGED.has(errno)) {
    const how = errno === "ELOOP" ? "its path leads through a symbolic link by now" : "it is gone, or something else";
    throw new PlyboxError("bind/changed", `${path} is not what was named any more: ${how}`, detail);
  }
  const where = path === undefined ? "" : `${path}: `;
  throw new PlyboxError("sandbox/launch-failed", `the sandbox could not be started: ${where}${error.message}`, detail);
}

/** The path that a step about binds failed at. */
function bindAtFault({ field = "" }: PlyboxError, plan: LaunchPlan): string | undefined {
  const [, index, side] = /^plan\.binds\.(\d+)\.(source|target)$/.exec(field) ?? [];
  const bind = plan.binds[Number(index)];
  return side === "target" ? bind?.target : bind?.source;
}
