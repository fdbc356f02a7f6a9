import type { Backend } from "../../backends/backend.ts";
import type { Emitter } from "../../base/emitter.ts";
import type { KeyedLock } from "../../base/keyed-lock.ts";
import type { Packings } from "../../layers/compression.ts";
import type { LayerLease } from "../../layers/layer-leases.ts";
import type { LayerStore } from "../../layers/layer-store.ts";
import type { SandboxEvent } from "../../model/event.ts";
import { eventOf } from "../../model/event.ts";
import type { LaunchPlan, SeccompPlan } from "../../model/launch-plan.ts";
import type { Sandbox, SandboxState } from "../../model/sandbox.ts";
import type { FaultAt } from "../../native/launcher.ts";
import type { SeccompFilters } from "../../seccomp/filters.ts";
import type { PackingPolicy } from "../checkpoints/background-packing.ts";
import type { Snapshots } from "../checkpoints/snapshots.ts";
import type { IdSource } from "../id-ranges.ts";
import type { SandboxPlaces } from "../launch-plan.ts";
import { mediumOf, planLaunch } from "../launch-plan.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import type { LiveSandboxes } from "../live-sandboxes.ts";
import type { Registry } from "../registry.ts";
import type { Saves } from "../saves/saving.ts";
import { transition } from "../transitions.ts";
import type { NextSandbox } from "./next-sandbox.ts";

export interface SandboxLog {
  debug(detail: object, message: string): void;
  warn(detail: object, message: string): void;
}

/** What the sandboxes of one process stand on. */
export interface SandboxServiceOptions {
  readonly backend: Backend;
  readonly layers: LayerStore;
  readonly registry: Registry;
  readonly ids: IdSource;
  readonly places: SandboxPlaces;
  readonly filters: SeccompFilters;
  readonly log: SandboxLog;
  /** Throws where a sandbox may not be made beside those that there are, of whatever tenant. */
  readonly admit?: (wanted: Sandbox, living: readonly Sandbox[]) => void;
  /** Whether uppers on disk may have a size: images are mounted by the machine's root alone. */
  readonly mountsImages: boolean;
  /** How what sandboxes have written is packed into layers. */
  readonly packings: Packings;
  /** Where checkpoints are kept; absent where there can be none. */
  readonly snapshots?: Snapshots;
  /** When checkpoints are packed that nobody asked to pack; absent for never. */
  readonly packing?: PackingPolicy;
  /** Where what sandboxes have written is to be kept when they have ended; absent for nowhere else. */
  readonly saves?: Saves;
  /** Whether sandboxes end with this process. */
  readonly dieWithLauncher: boolean;
  /** How soon an end that failed is tried again. */
  readonly retryMs?: number;
  /** How long an agent may take to answer. */
  readonly agentPatienceMs?: number;
  /** Tests only: the step of the next launch that is to fail. */
  readonly failAt?: FaultAt;
}

/** What every step in the life of a sandbox needs. */
export interface LifecycleContext extends SandboxServiceOptions {
  readonly live: LiveSandboxes;
  readonly next: NextSandbox;
  readonly events: Emitter<SandboxEvent>;
  /** One change of a sandbox at a time; the keys are ids. */
  readonly lock: KeyedLock;
  /** Whether this process lets go of its sandboxes: what happens to them is no longer its business. */
  readonly isStopping: () => boolean;
}

/**
 * Takes a sandbox into its next state, and changes with it what `changes` has.
 * @throws PlyboxError `sandbox/wrong-state`
 */
export function enter(
  context: LifecycleContext,
  live: LiveSandbox,
  state: SandboxState,
  changes: Partial<Sandbox> = {},
): void {
  // Written before anybody can see it.
  save(context, live, { ...transition(live.sandbox, state), ...changes });
  const reason = "reason" in state ? state.reason : null;
  context.events.emit(eventOf(live.sandbox, { type: "sandbox.state", state, reason }));
}

/** Replaces what the registry has of a sandbox. */
export function save({ registry }: LifecycleContext, live: LiveSandbox, sandbox: Sandbox): void {
  registry.update(sandbox);
  live.sandbox = sandbox;
}

/**
 * Does one thing with a sandbox after everything that was begun with it before.
 * @throws PlyboxError `sandbox/not-found`, also when it has gone meanwhile
 */
export async function exclusively<T>(
  { live: table, lock }: LifecycleContext,
  ref: string,
  work: (live: LiveSandbox) => T | Promise<T>,
): Promise<T> {
  const { id } = table.find(ref).sandbox;
  return await lock.run(id, () => work(table.find(id)));
}

/** @param seccomp of a plan that is to be launched; what else a plan says does not depend on it */
export function planFor(
  { places, ids, dieWithLauncher, failAt, snapshots }: LifecycleContext,
  sandbox: Sandbox,
  lease: Pick<LayerLease, "mounts" | "binds">,
  seccomp?: SeccompPlan,
): LaunchPlan {
  const { bytes } = sandbox.upper;
  const pool = sandbox.lineage === null ? undefined : snapshots?.pools[mediumOf(sandbox.upper)];
  return planLaunch(sandbox, lease, places, {
    dieWithLauncher,
    quota: bytes === undefined ? undefined : pool?.quota(sandbox.id, bytes),
    idCount: ids.size,
    failAt: failAt?.("launch"),
    seccomp,
  });
}

/** What is left to take away does not depend on the layers. */
export const NO_LAYERS = { mounts: [], binds: [] };
