import { mkdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Backend, Running } from "../backends/backend.ts";
import { throwIfAborted } from "../base/abort.ts";
import { Emitter } from "../base/emitter.ts";
import { UndoStack } from "../base/undo-stack.ts";
import type { LayerLease, LayerStore } from "../layers/layer-store.ts";
import { PlyboxError } from "../model/errors.ts";
import type { EventBody, SandboxEvent } from "../model/event.ts";
import type { ExecRequest, ExecSession, ExecSummary, OutputOffsets, SignalScope } from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import { newSandboxId } from "../model/ids.ts";
import type { LaunchPlan } from "../model/launch-plan.ts";
import { DEFAULT_TENANT } from "../model/principal.ts";
import type { Limits, Sandbox, SandboxSpec, SandboxState } from "../model/sandbox.ts";
import type { ActiveAgent, Agents } from "./agents.ts";
import type { IdRanges } from "./id-ranges.ts";
import type { SandboxPlaces } from "./launch-plan.ts";
import { DEFAULT_UPPER_BYTES, planLaunch, upperPath } from "./launch-plan.ts";
import { LiveSandbox } from "./live-sandbox.ts";
import type { Registry } from "./registry.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { requireState, transition } from "./transitions.ts";

export interface SandboxLog {
  debug(detail: object, message: string): void;
  warn(detail: object, message: string): void;
}

export interface SandboxServiceOptions {
  readonly backend: Backend;
  readonly layers: LayerStore;
  readonly registry: Registry;
  readonly ids: IdRanges;
  readonly places: SandboxPlaces;
  readonly log: SandboxLog;
  /** Whether sandboxes end with this process. */
  readonly dieWithLauncher: boolean;
  /** Tests only: the step of the next launch that is to fail. */
  readonly failAt?: () => string | undefined;
}

const DEFAULT_LIMITS: Limits = { memoryBytes: 1024 ** 3, pids: 1024, cpus: availableParallelism() };

/** The life of sandboxes: one service a process. */
export class SandboxService implements Sandboxes, Agents {
  /** What happens to the sandboxes, as it happens. */
  readonly events: Emitter<SandboxEvent>;
  readonly #options: SandboxServiceOptions;
  readonly #live = new Map<string, LiveSandbox>();
  readonly #names = new Map<string, LiveSandbox>();
  #isStopping = false;

  constructor(options: SandboxServiceOptions) {
    this.#options = options;
    this.events = new Emitter((err) => options.log.warn({ err }, "a listener to events failed"));
  }

  async create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    throwIfAborted(signal);
    if (this.#isStopping) throw new PlyboxError("daemon/stopping", "the daemon is stopping");
    // Reserved before the first await: of two that ask for one name at once, one finds it taken.
    const live = this.#reserve(spec);
    await using undo = new UndoStack();
    undo.push("forget the sandbox", () => this.#forget(live));
    const lease = await this.#options.layers.acquire(spec.layers ?? ["host"]);
    live.lease = lease;
    live.sandbox = { ...live.sandbox, layers: lease.layers.map(({ name }) => name) };
    this.#options.registry.put({ sandbox: live.sandbox, digests: lease.layers.map(({ digest }) => digest) });
    const running = await this.#launch(live, lease, undo);
    // The agent's answer is the proof that the sandbox works.
    await (await live.agent(running)).hello;
    throwIfAborted(signal);
    const { pid, startTime } = running.process;
    this.#enter(live, { kind: "running", pid, startTime });
    undo.move();
    this.#watch(live, running);
    return live.sandbox;
  }

  list(): readonly Sandbox[] {
    return [...this.#live.values()].map(({ sandbox }) => sandbox);
  }

  get(ref: string): Sandbox {
    return this.#find(ref).sandbox;
  }

  async remove(ref: string): Promise<void> {
    const live = this.#find(ref);
    if (live.sandbox.state.kind === "creating") {
      throw new PlyboxError("sandbox/wrong-state", "cannot remove a sandbox that is being created");
    }
    live.removal ??= this.#remove(live).finally(() => {
      live.removal = undefined;
    });
    await live.removal;
  }

  async exec(ref: string, request: ExecRequest, signal?: AbortSignal): Promise<ExecSession> {
    const { agent } = await this.agent(ref, "run a command");
    return agent.exec(request, signal);
  }

  async execs(ref: string): Promise<readonly ExecSummary[]> {
    const { agent } = await this.agent(ref, "list commands");
    return agent.list();
  }

  async attach(ref: string, exec: ExecId, from: OutputOffsets, signal?: AbortSignal): Promise<ExecSession> {
    const { agent } = await this.agent(ref, "attach to a command");
    return agent.attach(exec, from, signal);
  }

  async signal(ref: string, exec: ExecId, name: string, scope: SignalScope): Promise<void> {
    const { agent } = await this.agent(ref, "signal a command");
    await agent.signal(exec, name, scope);
  }

  async agent(ref: string, verb: string): Promise<ActiveAgent> {
    const { live, running } = this.#running(ref, verb);
    return { agent: await live.agent(running), sandbox: live.sandbox, activity: live.activity };
  }

  async ownAgent(ref: string, verb: string): Promise<ActiveAgent> {
    const { live, running } = this.#running(ref, verb);
    return { agent: await live.connect(running), sandbox: live.sandbox, activity: live.activity };
  }

  announce(ref: string, body: EventBody): void {
    const { id, tenant } = this.#find(ref).sandbox;
    this.events.emit({ sandbox: id, tenant, at: new Date(), ...body });
  }

  /** Takes over what an earlier daemon left: to be called once, before anything else. */
  async recover(): Promise<void> {
    await Promise.all(this.#options.registry.all().map((entry) => this.#recover(entry.sandbox, entry.digests)));
  }

  /** Lets go of everything; sandboxes go on. Idempotent. */
  async close(): Promise<void> {
    this.#isStopping = true;
    for (const live of this.#live.values()) {
      live.closeLink();
      await live.lease?.release();
    }
  }

  /** Removes every sandbox. Throws an AggregateError of what could not be. */
  async removeAll(): Promise<void> {
    this.#isStopping = true;
    const results = await Promise.allSettled([...this.#live.keys()].map((id) => this.remove(id)));
    const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    if (failures.length > 0) throw new AggregateError(failures, "sandboxes could not be removed");
  }

  #reserve(spec: SandboxSpec): LiveSandbox {
    const { name } = spec;
    if (name !== undefined && this.#names.has(name)) {
      throw new PlyboxError("sandbox/name-taken", `a sandbox called ${name} exists`, { field: "name" });
    }
    const live = new LiveSandbox(newSandbox(spec, this.#options.ids.take()));
    this.#hold(live);
    return live;
  }

  #hold(live: LiveSandbox): void {
    const { id, name } = live.sandbox;
    this.#live.set(id, live);
    if (name !== null) this.#names.set(name, live);
  }

  async #forget(live: LiveSandbox): Promise<void> {
    const { id, name, idBase } = live.sandbox;
    live.closeLink();
    await live.lease?.release();
    this.#options.registry.delete(id);
    this.#live.delete(id);
    if (name !== null) this.#names.delete(name);
    this.#options.ids.giveBack(idBase);
  }

  async #launch(live: LiveSandbox, lease: LayerLease, undo: UndoStack): Promise<Running> {
    const { backend, log } = this.#options;
    const plan = this.#plan(live.sandbox, lease);
    if (plan.root.upper.kind === "disk") {
      await mkdir(plan.root.upper.path, { mode: 0o700 });
      undo.push("remove the disk upper", () => this.#removeDisk(live.sandbox));
    }
    try {
      const running = await backend.launch(plan);
      undo.push("end the sandbox", async () => running[Symbol.asyncDispose]());
      live.running = running;
      log.debug({ sandbox: plan.id, steps: running.steps }, "launched");
      return running;
    } catch (error) {
      if (!(error instanceof PlyboxError) || error.code !== "launcher/failed") throw error;
      const { step, errno } = error;
      throw new PlyboxError("sandbox/launch-failed", `the sandbox could not be started: ${error.message}`, {
        cause: error,
        ...(step !== undefined && { step }),
        ...(errno !== undefined && { errno }),
      });
    }
  }

  #plan(sandbox: Sandbox, lease: Pick<LayerLease, "mounts" | "binds">): LaunchPlan {
    const { places, dieWithLauncher, failAt } = this.#options;
    return planLaunch(sandbox, lease, places, { dieWithLauncher, failAt: failAt?.() });
  }

  #enter(live: LiveSandbox, state: SandboxState): void {
    const next = transition(live.sandbox, state);
    // Written before anybody can see it.
    this.#options.registry.update(next);
    live.sandbox = next;
    const { id, tenant } = next;
    const reason = "reason" in state ? state.reason : null;
    this.events.emit({ sandbox: id, tenant, at: new Date(), type: "sandbox.state", state, reason });
  }

  #watch(live: LiveSandbox, running: Running): void {
    void running.exited.then(({ code, signal }) => {
      live.closeLink();
      if (live.sandbox.state.kind !== "running" || this.#isStopping) return;
      this.#enter(live, { kind: "stopped", code, signal });
    });
  }

  async #remove(live: LiveSandbox): Promise<void> {
    const { backend } = this.#options;
    // From here on it is gone for a daemon that comes back, which finishes the work.
    if (live.sandbox.state.kind !== "destroyed") this.#enter(live, { kind: "destroyed" });
    live.closeLink();
    if (live.running === undefined) await backend.discard(this.#plan(live.sandbox, NO_LAYERS));
    else await live.running[Symbol.asyncDispose]();
    await this.#removeDisk(live.sandbox);
    await this.#forget(live);
  }

  async #removeDisk(sandbox: Sandbox): Promise<void> {
    if (sandbox.upper.kind !== "disk") return;
    await rm(upperPath(sandbox, this.#options.places), { recursive: true, force: true });
  }

  async #recover(sandbox: Sandbox, digests: readonly string[]): Promise<void> {
    const live = new LiveSandbox(sandbox);
    this.#options.ids.claim(sandbox.idBase);
    this.#hold(live);
    const { state } = sandbox;
    try {
      if (state.kind === "running") await this.#adopt(live, state, digests);
      // One half made was promised to nobody; one half removed was promised to be gone.
      else if (state.kind === "creating" || state.kind === "destroyed") await this.#remove(live);
    } catch (err) {
      this.#options.log.warn({ sandbox: sandbox.id, err }, "a sandbox could not be recovered");
      if (live.sandbox.state.kind === "running") {
        this.#enter(live, { kind: "lost", reason: err instanceof Error ? err.message : String(err) });
      }
    }
  }

  async #adopt(
    live: LiveSandbox,
    { pid, startTime }: Extract<SandboxState, { kind: "running" }>,
    digests: readonly string[],
  ): Promise<void> {
    const lease = await this.#options.layers.adopt(digests);
    live.lease = lease;
    const running = await this.#options.backend.adopt(this.#plan(live.sandbox, lease), { pid, startTime });
    if (running === undefined) {
      await lease.release();
      this.#enter(live, { kind: "lost", reason: "its processes ended while no daemon ran" });
      return;
    }
    live.running = running;
    this.#watch(live, running);
  }

  #running(ref: string, verb: string): { readonly live: LiveSandbox; readonly running: Running } {
    const live = this.#find(ref);
    requireState(verb, live.sandbox.state, "running");
    const { running, sandbox } = live;
    if (running === undefined) throw new PlyboxError("internal", `${sandbox.id} runs without a backend`);
    return { live, running };
  }

  #find(ref: string): LiveSandbox {
    const live = this.#live.get(ref) ?? this.#names.get(ref);
    if (live === undefined || live.sandbox.state.kind === "destroyed") {
      throw new PlyboxError("sandbox/not-found", `there is no sandbox ${JSON.stringify(ref.slice(0, 80))}`);
    }
    return live;
  }
}

/** What is left to take away does not depend on the layers. */
const NO_LAYERS = { mounts: [], binds: [] };

function newSandbox(spec: SandboxSpec, idBase: number): Sandbox {
  const id = newSandboxId();
  const upper = spec.upper ?? { kind: "tmpfs", bytes: DEFAULT_UPPER_BYTES };
  return {
    id,
    tenant: spec.tenant ?? DEFAULT_TENANT,
    name: spec.name ?? null,
    incarnation: 1,
    state: { kind: "creating" },
    layers: spec.layers ?? ["host"],
    upper,
    limits: { ...DEFAULT_LIMITS, ...spec.limits },
    env: spec.env ?? {},
    hostname: spec.hostname ?? spec.name ?? "plybox",
    binds: spec.binds ?? [],
    idBase,
    createdAt: new Date(),
  };
}
