import { setTimeout as delay } from "node:timers/promises";
import { PlyboxError } from "../../model/errors.ts";
import { eventOf } from "../../model/event.ts";
import type { ExecRequest } from "../../model/exec.ts";
import type { ExecId } from "../../model/ids.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { StartCommand, StartEnd } from "../../model/start-command.ts";
import type { AgentLink } from "../../wire/agent-link.ts";
import { withDefaults } from "../image-defaults.ts";
import type { Attendant } from "../lifecycle/attendant.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { exclusively, save } from "../lifecycle/context.ts";
import { stopSandbox } from "../lifecycle/stopping.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { afterEnd, nextRun } from "./start-status.ts";

/** Who is said to have started it. */
export const STARTER = "start";

/** How soon an agent that did not answer is asked again. */
const RETRY_MS = 500;

/**
 * Runs the start commands of sandboxes, again and again as they ask for it. What is to be done next is always written
 * down first, so that a daemon that comes back goes on where this one was, and starts nothing twice.
 */
export class StartCommands implements Attendant {
  readonly #context: LifecycleContext;
  /** What ends the supervision of each sandbox's command; by incarnation, since each has its own. */
  readonly #supervised = new Map<string, { readonly incarnation: number; readonly ending: AbortController }>();

  constructor(context: LifecycleContext) {
    this.#context = context;
  }

  attend(live: LiveSandbox): void {
    const { id, state, start, incarnation } = live.sandbox;
    if (start === null) return;
    const supervised = this.#supervised.get(id);
    const hasProcesses = state.kind === "running" || state.kind === "paused";
    if (hasProcesses && supervised?.incarnation === incarnation) return;
    supervised?.ending.abort();
    this.#supervised.delete(id);
    if (!hasProcesses) return;
    const ending = new AbortController();
    this.#supervised.set(id, { incarnation, ending });
    this.#supervise(live, ending.signal).catch((err) => {
      if (!ending.signal.aborted) this.#context.log.warn({ sandbox: id, err }, "a start command is left alone");
    });
  }

  close(): void {
    for (const { ending } of this.#supervised.values()) ending.abort();
    this.#supervised.clear();
  }

  async #supervise(live: LiveSandbox, signal: AbortSignal): Promise<void> {
    for (let start = live.sandbox.start; start !== null; start = live.sandbox.start) {
      const { status } = start;
      if (status.kind === "waiting") {
        await delay(status.delayMs, undefined, { signal, ref: false });
        this.#save(live, nextRun(start));
      } else if (status.kind === "running") {
        const since = performance.now();
        const end = await this.#runToEnd(live, start, status, signal);
        signal.throwIfAborted();
        this.#save(live, afterEnd(live.sandbox.start ?? start, end, performance.now() - since));
        if (live.sandbox.start?.status.kind === "done") await this.#finish(live, end);
      } else {
        return;
      }
    }
  }

  /** Resolves when the command has ended, however often its agent could not be asked meanwhile. */
  async #runToEnd(
    live: LiveSandbox,
    start: StartCommand,
    { exec, pid }: { readonly exec: ExecId; readonly pid: number | null },
    signal: AbortSignal,
  ): Promise<StartEnd> {
    let isStarted = pid !== null;
    for (;;) {
      signal.throwIfAborted();
      // A frozen agent answers nobody, and a sandbox that its user has paused is not resumed for this.
      if (live.sandbox.state.kind === "running" && live.running !== undefined) {
        try {
          const agent = await live.agent(live.running);
          const started = isStarted ? undefined : await startOnce(agent, exec, live.sandbox, start);
          signal.throwIfAborted();
          if (started !== undefined && "end" in started) return started.end;
          if (started !== undefined)
            this.#begun(live, exec, { ...start, status: { kind: "running", exec, pid: started.pid } });
          isStarted = true;
          return await endOf(agent, exec, signal);
        } catch (error) {
          if (!(error instanceof PlyboxError) || error.code !== "agent/unreachable") throw error;
        }
      }
      await delay(RETRY_MS, undefined, { signal, ref: false });
    }
  }

  #begun(live: LiveSandbox, exec: ExecId, start: StartCommand): void {
    this.#save(live, start);
    this.#context.events.emit(eventOf(live.sandbox, { type: "exec.started", exec, by: STARTER }));
  }

  #save(live: LiveSandbox, start: StartCommand): void {
    save(this.#context, live, { ...live.sandbox, start });
  }

  async #finish(live: LiveSandbox, end: StartEnd): Promise<void> {
    if (live.sandbox.start?.whenDone !== "stop") return;
    const { code, signal } = end.kind === "exited" ? end : { code: null, signal: null };
    const { id, incarnation } = live.sandbox;
    await exclusively(this.#context, id, async () => {
      if (live.sandbox.incarnation !== incarnation) return;
      await stopSandbox(this.#context, live, { type: "start-command", code, signal });
    });
  }
}

/** Starts it under its id; one that runs already, or has run, is not started again. */
async function startOnce(
  agent: AgentLink,
  exec: ExecId,
  sandbox: Sandbox,
  { command, env, cwd, user }: StartCommand,
): Promise<{ readonly pid: number } | { readonly end: StartEnd }> {
  const request: ExecRequest = {
    ...{ exec, command },
    ...(env !== undefined && { env }),
    ...(cwd !== undefined && { cwd }),
    ...(user !== undefined && { user }),
  };
  try {
    const session = await agent.exec(withDefaults(request, sandbox));
    session.close();
    return { pid: session.pid };
  } catch (error) {
    if (!(error instanceof PlyboxError) || error.code === "agent/unreachable") throw error;
    if (error.code !== "exec/exists") return { end: { kind: "refused", code: error.code, message: error.message } };
    const known = (await agent.list()).find((each) => each.exec === exec);
    return known === undefined ? { end: { kind: "unseen" } } : { pid: known.pid };
  }
}

/** Resolves when the command has ended; nobody who follows it is disturbed. */
async function endOf(agent: AgentLink, exec: ExecId, abort: AbortSignal): Promise<StartEnd> {
  try {
    const { code, signal } = await agent.wait(exec, abort);
    return { kind: "exited", code, signal };
  } catch (error) {
    if (error instanceof PlyboxError && error.code === "exec/not-found") return { kind: "unseen" };
    throw error;
  }
}
