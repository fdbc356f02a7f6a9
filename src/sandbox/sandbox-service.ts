import type { Running } from "../backends/backend.ts";
import { Emitter } from "../base/emitter.ts";
import { KeyedLock } from "../base/keyed-lock.ts";
import { PlyboxError } from "../model/errors.ts";
import type { EventBody, SandboxEvent } from "../model/event.ts";
import { eventOf } from "../model/event.ts";
import type {
  ExecFeed,
  ExecReport,
  ExecRequest,
  ExecSession,
  ExecSummary,
  OutputOffsets,
  OutputReading,
  ReadOptions,
  SignalScope,
  TerminalSize,
} from "../model/exec.ts";
import type { ExecId, SandboxId } from "../model/ids.ts";
import type { Sandbox, SandboxSpec } from "../model/sandbox.ts";
import type { Usage } from "../model/usage.ts";
import { ReceiveMemory } from "../wire/receive-memory.ts";
import { ActiveSession, activeReading } from "./active-session.ts";
import type { ActiveAgent, Agents } from "./agents.ts";
import { BackgroundPacking } from "./checkpoints/background-packing.ts";
import { Checkpoints } from "./checkpoints/checkpoints.ts";
import { recoverCheckpoints, sweepPools } from "./checkpoints/recovering.ts";
import { Composition } from "./composition/composition.ts";
import { withDefaults } from "./image-defaults.ts";
import type { LifecycleContext, SandboxServiceOptions } from "./lifecycle/context.ts";
import { createSandbox } from "./lifecycle/creation.ts";
import { Lifecycle } from "./lifecycle/lifecycle.ts";
import { NextSandbox } from "./lifecycle/next-sandbox.ts";
import { recoverSandbox } from "./lifecycle/recovery.ts";
import { removeSandbox } from "./lifecycle/removal.ts";
import { sweepUnknown } from "./lifecycle/sweep.ts";
import type { LiveSandbox } from "./live-sandbox.ts";
import { LiveSandboxes } from "./live-sandboxes.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { requireState } from "./transitions.ts";

/** The life of sandboxes, and the way to their agents: one service a process. The steps are in lifecycle/. */
export class SandboxService implements Sandboxes, Agents {
  /** What happens to the sandboxes, as it happens. */
  readonly events: Emitter<SandboxEvent>;
  /** What is done with sandboxes between their creation and their removal. */
  readonly lifecycle: Lifecycle;
  /** What sandboxes were, and can be again. */
  readonly checkpoints: Checkpoints;
  /** What sandboxes stand on. */
  readonly composition: Composition;
  readonly #context: LifecycleContext;
  #packing: BackgroundPacking | undefined;
  readonly #live = new LiveSandboxes();
  readonly #memory = new ReceiveMemory();
  #isStopping = false;

  constructor(options: SandboxServiceOptions) {
    this.events = new Emitter((err) => options.log.warn({ err }, "a listener to events failed"));
    this.#context = {
      ...options,
      live: this.#live,
      next: new NextSandbox(options),
      events: this.events,
      lock: new KeyedLock(),
      isStopping: () => this.#isStopping,
    };
    this.lifecycle = new Lifecycle(this.#context);
    this.checkpoints = new Checkpoints(this.#context);
    this.composition = new Composition(this.#context);
  }

  async create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    if (this.#isStopping) throw new PlyboxError("daemon/stopping", "the daemon is stopping");
    return (await createSandbox(this.#context, spec, signal)).sandbox;
  }

  list(): readonly Sandbox[] {
    return this.#live.all().map(({ sandbox }) => sandbox);
  }

  get(ref: string, tenant?: string): Sandbox {
    return this.#live.find(ref, tenant).sandbox;
  }

  async remove(ref: string, { save = true }: { readonly save?: boolean } = {}): Promise<void> {
    const live = this.#live.find(ref);
    try {
      await removeSandbox(this.#context, live, { save });
    } catch (error) {
      // Nobody can ask for it again, since it is gone for everybody.
      this.lifecycle.attend(live);
      throw error;
    }
  }

  async exec(ref: string, request: ExecRequest, signal?: AbortSignal): Promise<ExecSession> {
    const { id, lineage } = this.#live.find(ref).sandbox;
    if (lineage !== null) await this.#prepareExec(id, request);
    const { agent, sandbox, activity } = await this.agent(id, "run a command");
    return new ActiveSession(await agent.exec(withDefaults(request, sandbox), signal), activity);
  }

  async execs(ref: string): Promise<readonly ExecSummary[]> {
    const { agent } = await this.agent(ref, "list commands");
    return agent.list();
  }

  async attach(ref: string, exec: ExecId, from: OutputOffsets, signal?: AbortSignal): Promise<ExecSession> {
    const { agent, activity } = await this.agent(ref, "attach to a command");
    return new ActiveSession(await agent.attach(exec, from, signal), activity);
  }

  async read(ref: string, exec: ExecId, options: ReadOptions, signal?: AbortSignal): Promise<OutputReading> {
    const { agent, activity } = await this.agent(ref, "read a command's output");
    return activeReading(await agent.read(exec, options, signal), activity);
  }

  async wait(ref: string, exec: ExecId, signal?: AbortSignal): Promise<ExecReport> {
    const { agent } = await this.agent(ref, "wait for a command");
    return await agent.wait(exec, signal);
  }

  async input(ref: string, exec: ExecId, signal?: AbortSignal): Promise<ExecFeed> {
    const { agent } = await this.agent(ref, "feed a command");
    return await agent.input(exec, signal);
  }

  async forget(ref: string, exec: ExecId): Promise<void> {
    const { agent } = await this.agent(ref, "forget a command");
    await agent.forget(exec);
  }

  async signal(ref: string, exec: ExecId, name: string, scope: SignalScope): Promise<void> {
    const { agent } = await this.agent(ref, "signal a command");
    await agent.signal(exec, name, scope);
  }

  async resize(ref: string, exec: ExecId, size: TerminalSize): Promise<void> {
    const { agent } = await this.agent(ref, "resize a terminal");
    await agent.resize(exec, size);
  }

  async agent(ref: string, verb: string): Promise<ActiveAgent> {
    const { live, running } = await this.#running(ref, verb);
    return { agent: await live.agent(running), sandbox: live.sandbox, activity: live.activity };
  }

  async fileAgent(ref: string, verb: string): Promise<ActiveAgent> {
    const { live, running } = await this.#running(ref, verb);
    const agent = await live.connect(running, this.#memory);
    const end = live.activity.hold();
    void agent.ended.then(end);
    return { agent, sandbox: live.sandbox, activity: live.activity };
  }

  announce(ref: string, body: EventBody): void {
    const live = this.#live.find(ref);
    if (body.type === "file.changed") this.checkpoints.changed(live);
    this.events.emit(eventOf(live.sandbox, body));
  }

  /** What a sandbox takes from the machine; undefined where nothing of it runs. */
  usage(ref: string): Usage | undefined {
    return this.#live.find(ref).running?.usage();
  }

  /** Takes over what an earlier daemon left, and takes away what is nobody's: to be called once, before anything else. */
  async recover(): Promise<void> {
    await recoverCheckpoints(this.#context);
    await Promise.all(this.#context.registry.all().map((entry) => recoverSandbox(this.#context, entry)));
    await sweepUnknown(this.#context);
    await sweepPools(this.#context);
    for (const live of this.#live.all()) this.lifecycle.attend(live);
    const { snapshots, packing } = this.#context;
    if (snapshots && packing) this.#packing = new BackgroundPacking(this.#context, snapshots, packing);
    this.#context.next.reserve();
  }

  /** Lets go of everything; sandboxes go on. Idempotent. */
  async close(): Promise<void> {
    this.#isStopping = true;
    this.lifecycle.close();
    this.#context.next.close();
    await this.#packing?.close();
    for (const live of this.#live.all()) {
      live.closeLink();
      await live.lease?.release();
    }
  }

  /** Removes every sandbox. Throws an AggregateError of what could not be. */
  async removeAll(): Promise<void> {
    this.#isStopping = true;
    const results = await Promise.allSettled(this.#live.all().map(({ sandbox }) => this.remove(sandbox.id)));
    const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    if (failures.length > 0) throw new AggregateError(failures, "sandboxes could not be removed");
  }

  /** Only where there are checkpoints: every other command goes to its agent at once. */
  async #prepareExec(id: SandboxId, request: ExecRequest): Promise<void> {
    const { live } = await this.#running(id, "run a command");
    await this.checkpoints.beforeExec(live, request);
  }

  async #running(ref: string, verb: string): Promise<{ readonly live: LiveSandbox; readonly running: Running }> {
    const live = this.#live.find(ref);
    // All who ask at once share one resumption: whoever comes second finds it running.
    if (live.sandbox.state.kind === "paused" && live.sandbox.resumeOnDemand) {
      await this.lifecycle.resume(live.sandbox.id);
    }
    requireState(verb, live.sandbox.state, "running");
    const { running, sandbox } = live;
    if (running === undefined) throw new PlyboxError("internal", `${sandbox.id} runs without a backend`);
    return { live, running };
  }
}
