import { Deadlines } from "../../base/deadlines.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { EndReason } from "../../model/reason.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { ensureSaved, isUnsaved } from "../saves/saving.ts";
import type { Attendant } from "./attendant.ts";
import type { LifecycleContext } from "./context.ts";
import { exclusively } from "./context.ts";
import { removeSandbox } from "./removal.ts";
import { stopSandbox } from "./stopping.ts";

/** How soon a sandbox is looked at again whose commands kept it: the most by which its idle time may be exceeded. */
const LOOK_AGAIN_MS = 5000;
/** How soon an end that failed is tried again. */
const RETRY_MS = 30_000;

/** Ends sandboxes whose time is over. */
export class Reaper implements Attendant {
  readonly #context: LifecycleContext;
  readonly #deadlines = new Deadlines((id) => void this.#look(id));

  /** Sandboxes that were due when they were last looked at, but for their commands. */
  readonly #busy = new Set<string>();

  constructor(context: LifecycleContext) {
    this.#context = context;
  }

  attend(live: LiveSandbox): void {
    const at = Math.min(lifetimeEnd(live), idleEnd(live), this.#retryOf(live));
    if (at === Number.POSITIVE_INFINITY) {
      this.#deadlines.delete(live.sandbox.id);
      this.#busy.delete(live.sandbox.id);
    } else this.#deadlines.set(live.sandbox.id, at);
  }

  close(): void {
    this.#deadlines.close();
  }

  /** When an end is to be tried again that has not come about by then. */
  #retryOf(live: LiveSandbox): number {
    const { sandbox, removal } = live;
    const { state } = sandbox;
    const isUnfinished = state.kind === "stopping" || (state.kind === "destroyed" && removal === undefined);
    return isUnfinished || isUnsaved(this.#context, live)
      ? Date.now() + (this.#context.retryMs ?? RETRY_MS)
      : Number.POSITIVE_INFINITY;
  }

  async #look(id: string): Promise<void> {
    const live = this.#context.live.get(id);
    if (live === undefined || this.#context.isStopping()) return;
    try {
      await this.#end(live);
    } catch (err) {
      if (this.#context.isStopping()) return;
      this.#context.log.warn({ sandbox: id, err }, "a sandbox whose time is over could not be ended");
      this.#deadlines.set(id, Date.now() + (this.#context.retryMs ?? RETRY_MS));
    }
  }

  async #end(live: LiveSandbox): Promise<void> {
    const { id, state } = live.sandbox;
    // An earlier attempt could not be finished.
    if (state.kind === "destroyed") return await removeSandbox(this.#context, live, { reason: state.reason });
    if (state.kind === "stopping") return await this.#stop(live, state.reason);
    if (isUnsaved(this.#context, live)) {
      await exclusively(this.#context, id, () => ensureSaved(this.#context, live));
      return this.attend(live);
    }
    if ((await this.#isBusy(live)) || this.#context.isStopping()) return;
    const reason = dueReason(live);
    if (reason === undefined) return this.attend(live);
    if (live.sandbox.onExpire === "destroy") return await removeSandbox(this.#context, live, { reason });
    await exclusively(this.#context, id, async () => {
      // What was asked for before may have given it more time.
      if (dueReason(live) !== undefined) await stopSandbox(this.#context, live, reason);
    });
  }

  async #stop(live: LiveSandbox, reason: EndReason): Promise<void> {
    await exclusively(this.#context, live.sandbox.id, () => stopSandbox(this.#context, live, reason));
  }

  /** Whether commands keep it from being idle; it is then looked at again, often enough to see when they have ended. */
  async #isBusy(live: LiveSandbox): Promise<boolean> {
    const { id, idleMs, idleCountsCommands } = live.sandbox;
    const due = dueReason(live)?.type;
    if (!idleCountsCommands || idleMs === null || due === "lifetime") return false;
    if (due === undefined && !this.#busy.has(id)) return false;
    if (!(await hasCommands(live))) {
      this.#busy.delete(id);
      return false;
    }
    this.#busy.add(id);
    live.activity.touch();
    this.#deadlines.set(id, Math.min(lifetimeEnd(live), Date.now() + Math.min(LOOK_AGAIN_MS, idleMs)));
    return true;
  }
}

/** When its lifetime ends what there is of it, in milliseconds since 1970. */
function lifetimeEnd({ sandbox: { state, expiresAt, onExpire } }: LiveSandbox): number {
  if (expiresAt === null || state.kind === "creating" || state.kind === "destroyed") return Number.POSITIVE_INFINITY;
  const isOver = onExpire === "stop" && !["starting", "running", "paused"].includes(state.kind);
  return isOver ? Number.POSITIVE_INFINITY : expiresAt.getTime();
}

/** When it will have been idle for too long, if nothing begins before. What is paused is not idle. */
function idleEnd({ sandbox: { state, idleMs }, activity }: LiveSandbox): number {
  if (idleMs === null || state.kind !== "running") return Number.POSITIVE_INFINITY;
  return Math.ceil(Date.now() + idleMs - activity.idleMs);
}

function dueReason(live: LiveSandbox): EndReason | undefined {
  const { lifetimeMs, idleMs } = live.sandbox;
  const now = Date.now();
  if (lifetimeMs !== null && lifetimeEnd(live) <= now) return { type: "lifetime", lifetimeMs };
  return idleMs !== null && idleEnd(live) <= now ? { type: "idle", idleMs } : undefined;
}

/** Whether a command runs in it; its start command, which may never end, is none. */
async function hasCommands(live: LiveSandbox): Promise<boolean> {
  const { running, sandbox } = live;
  if (running === undefined || sandbox.state.kind !== "running") return false;
  const own = sandbox.start?.status.kind === "running" ? sandbox.start.status.exec : undefined;
  try {
    const execs = await (await live.agent(running)).list();
    return execs.some(({ exec, running }) => running && exec !== own);
  } catch (error) {
    // An agent that says nothing does not keep its sandbox by that.
    if (error instanceof PlyboxError && error.code.startsWith("agent/")) return false;
    throw error;
  }
}
