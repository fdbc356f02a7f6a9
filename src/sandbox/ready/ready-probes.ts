import { setTimeout as delay } from "node:timers/promises";
import { PlyboxError } from "../../model/errors.ts";
import { eventOf } from "../../model/event.ts";
import type { ReadyProbe } from "../../model/ready-probe.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { Attendant } from "../lifecycle/attendant.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { save } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireState } from "../transitions.ts";
import { attempt } from "./probe-attempt.ts";

const DEFAULT_INTERVAL_MS = 200;
const DEFAULT_ATTEMPT_MS = 5000;

/** Finds out of each sandbox that has a probe whether it is ready. */
export class ReadyProbes implements Attendant {
  readonly #context: LifecycleContext;
  /** What ends the probing of each sandbox that is probed now. */
  readonly #probing = new Map<string, AbortController>();
  /** Why probes were given up since their sandboxes were last started. */
  readonly #failures = new Map<string, string>();
  /** Called whenever something changed. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(context: LifecycleContext) {
    this.#context = context;
  }

  attend(live: LiveSandbox): void {
    const { id, state, ready } = live.sandbox;
    if (state.kind !== "running" && state.kind !== "paused") {
      this.#probing.get(id)?.abort();
      this.#probing.delete(id);
      this.#failures.delete(id);
    } else if (ready === false && !this.#probing.has(id) && !this.#failures.has(id)) {
      const ending = new AbortController();
      this.#probing.set(id, ending);
      void this.#probe(live, ending.signal);
    }
    this.#wake(id);
  }

  close(): void {
    for (const ending of this.#probing.values()) ending.abort();
    this.#probing.clear();
  }

  /**
   * @throws PlyboxError `sandbox/not-ready` when the probe gave up, `sandbox/wrong-state` when the sandbox does not run,
   * `sandbox/not-found` when it has gone; or the signal's reason
   */
  async wait(live: LiveSandbox, signal?: AbortSignal): Promise<Sandbox> {
    const { id } = live.sandbox;
    for (;;) {
      signal?.throwIfAborted();
      this.#context.live.find(id);
      requireState("wait for readiness", live.sandbox.state, "creating", "starting", "running", "paused");
      if (live.sandbox.ready !== false && live.sandbox.state.kind === "running") return live.sandbox;
      const failure = this.#failures.get(id);
      if (failure !== undefined) throw new PlyboxError("sandbox/not-ready", `the sandbox is not ready: ${failure}`);
      await this.#change(id, signal);
    }
  }

  async #probe(live: LiveSandbox, signal: AbortSignal): Promise<void> {
    const { id, readyProbe: probe } = live.sandbox;
    if (probe === null) return;
    const deadline = performance.now() + (probe.timeoutMs ?? Number.POSITIVE_INFINITY);
    for (;;) {
      const failure = await this.#attempt(live, probe);
      if (signal.aborted) return;
      if (failure === undefined) break;
      if (performance.now() >= deadline) {
        this.#failures.set(id, failure);
        break;
      }
      const pauseMs = Math.min(probe.intervalMs ?? DEFAULT_INTERVAL_MS, Math.max(0, deadline - performance.now()));
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
    }
    this.#probing.delete(id);
    if (!this.#failures.has(id)) this.#note(live);
    this.#wake(id);
  }

  async #attempt(live: LiveSandbox, probe: ReadyProbe): Promise<string | undefined> {
    const { running, sandbox } = live;
    if (sandbox.state.kind !== "running" || running === undefined) return `it is ${sandbox.state.kind}`;
    try {
      const attemptMs = probe.attemptMs ?? DEFAULT_ATTEMPT_MS;
      return await attempt(await live.agent(running), probe, { sandbox, attemptMs });
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #note(live: LiveSandbox): void {
    save(this.#context, live, { ...live.sandbox, ready: true });
    this.#context.events.emit(eventOf(live.sandbox, { type: "sandbox.ready" }));
  }

  #wake(id: string): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    for (const wake of waiting ?? []) wake();
  }

  /** Resolves at the next change of a sandbox, and when the signal aborts. */
  #change(id: string, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, waiting);
      const wake = (): void => {
        signal?.removeEventListener("abort", wake);
        waiting.delete(wake);
        resolve();
      };
      waiting.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }
}
