import { PlyboxError } from "../../model/errors.ts";
import type { EndReason } from "../../model/reason.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { ReadyProbes } from "../ready/ready-probes.ts";
import type { SandboxChanges, SandboxLifecycle } from "../sandbox-lifecycle.ts";
import { StartCommands } from "../start/start-commands.ts";
import type { Attendant } from "./attendant.ts";
import { changeSandbox } from "./changing.ts";
import type { LifecycleContext } from "./context.ts";
import { exclusively } from "./context.ts";
import { pauseSandbox, resumeSandbox } from "./pausing.ts";
import { Reaper } from "./reaper.ts";
import { endProcesses, startSandbox, stopSandbox } from "./stopping.ts";

const ASKED: EndReason = { type: "asked" };

/** What is done with sandboxes that exist: by those who ask, and by what looks after them. */
export class Lifecycle implements SandboxLifecycle {
  readonly #context: LifecycleContext;
  readonly #probes: ReadyProbes;
  readonly #attendants: readonly Attendant[];

  constructor(context: LifecycleContext) {
    this.#context = context;
    this.#probes = new ReadyProbes(context);
    this.#attendants = [new Reaper(context), new StartCommands(context), this.#probes];
    context.events.listen(({ type, sandbox }) => {
      const live = type === "sandbox.state" ? context.live.get(sandbox) : undefined;
      if (live !== undefined) this.attend(live);
    });
  }

  /** Begins to look after a sandbox that an earlier daemon made. */
  attend(live: LiveSandbox): void {
    if (this.#context.isStopping()) return;
    for (const attendant of this.#attendants) attendant.attend(live);
  }

  pause(ref: string): Promise<Sandbox> {
    return this.#change(ref, (live) => pauseSandbox(this.#context, live));
  }

  resume(ref: string): Promise<Sandbox> {
    return this.#change(ref, (live) => resumeSandbox(this.#context, live));
  }

  stop(ref: string): Promise<Sandbox> {
    return this.#change(ref, (live) => stopSandbox(this.#context, live, ASKED));
  }

  start(ref: string): Promise<Sandbox> {
    return this.#change(ref, (live) => startSandbox(this.#context, live));
  }

  restart(ref: string): Promise<Sandbox> {
    return this.#change(ref, async (live) => {
      await endProcesses(this.#context, live, ASKED);
      await startSandbox(this.#context, live);
    });
  }

  update(ref: string, changes: SandboxChanges): Promise<Sandbox> {
    return this.#change(ref, (live) => {
      changeSandbox(this.#context, live, changes);
      this.attend(live);
    });
  }

  async waitReady(ref: string, signal?: AbortSignal): Promise<Sandbox> {
    return await this.#probes.wait(this.#context.live.find(ref), signal);
  }

  /** Lets go of everything; sandboxes go on. */
  close(): void {
    for (const attendant of this.#attendants) attendant.close();
  }

  async #change(ref: string, work: (live: LiveSandbox) => void | Promise<void>): Promise<Sandbox> {
    if (this.#context.isStopping()) throw new PlyboxError("daemon/stopping", "the daemon is stopping");
    return await exclusively(this.#context, ref, async (live) => {
      await work(live);
      return live.sandbox;
    });
  }
}
