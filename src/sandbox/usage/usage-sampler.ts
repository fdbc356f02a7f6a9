import { setImmediate, setTimeout } from "node:timers/promises";
import { PlyboxError } from "../../model/errors.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import { heldLimits, isImage } from "../../model/sandbox.ts";
import type { Usage, UsageSample } from "../../model/usage.ts";
import { DEFAULT_UPPER_BYTES } from "../launch-plan.ts";
import type { DiskUppers } from "./disk-uppers.ts";

/** Where usage comes from: the sandbox service. */
export interface UsageSource {
  list(): readonly Sandbox[];
  get(ref: string): Sandbox;
  /** Undefined for a sandbox whose processes nobody has. */
  usage(ref: string): Usage | undefined;
}

/** How long one reading of all sandboxes answers everybody who asks: less than the shortest interval of a series. */
const FRESH_MS = 50;
/** Sandboxes that are read before others have their turn: half a millisecond or so. */
const BATCH = 16;

interface Round {
  readonly startedMs: number;
  /** As they were then: each is another object after a change. */
  readonly sandboxes: readonly Sandbox[];
  readonly samples: Promise<readonly UsageSample[]>;
}

/** Reads the usage of sandboxes, only when somebody asks. */
export class UsageSampler {
  readonly #source: UsageSource;
  readonly #disks: Pick<DiskUppers, "figure">;
  readonly #onSample: (sample: UsageSample, sandbox: Sandbox) => void;
  #round: Round | undefined;

  /** @param onSample told of every reading */
  constructor(
    source: UsageSource,
    disks: Pick<DiskUppers, "figure">,
    onSample: (sample: UsageSample, sandbox: Sandbox) => void = () => {},
  ) {
    this.#source = source;
    this.#disks = disks;
    this.#onSample = onSample;
  }

  /** @throws PlyboxError `sandbox/not-found`, `sandbox/wrong-state` for one that has no processes */
  one(ref: string): UsageSample {
    const sandbox = this.#source.get(ref);
    const sample = this.#sample(sandbox);
    if (sample !== undefined) return sample;
    throw new PlyboxError("sandbox/wrong-state", `a sandbox that is ${sandbox.state.kind} uses nothing`);
  }

  /** Every sandbox that has processes, oldest first. Those who ask at one time share one reading. */
  all(): Promise<readonly UsageSample[]> {
    const startedMs = performance.now();
    const sandboxes = this.#source.list();
    if (this.#round === undefined || !isFresh(this.#round, startedMs, sandboxes)) {
      this.#round = { startedMs, sandboxes, samples: this.#read(sandboxes) };
    }
    return this.#round.samples;
  }

  async #read(sandboxes: readonly Sandbox[]): Promise<readonly UsageSample[]> {
    const samples: UsageSample[] = [];
    let read = 0;
    for (const sandbox of sandboxes) {
      const sample = this.#sample(sandbox);
      if (sample !== undefined) samples.push(sample);
      read += 1;
      if (read % BATCH === 0) await setImmediate();
    }
    return samples;
  }

  #sample(sandbox: Sandbox): UsageSample | undefined {
    const { id, tenant, name, state } = sandbox;
    // It may have been removed since it was listed.
    const usage = "pid" in state ? this.#usage(id) : undefined;
    if (usage === undefined) return undefined;
    const at = new Date();
    const { upperLimit, ...upper } = this.#upper(sandbox, usage, at);
    const { memoryBytes, pids, cpus } = heldLimits(sandbox);
    const limited = { memoryBytes, pids, cpus, upperBytes: upperLimit };
    const sample = { sandbox: id, tenant, name, at, cores: null, limits: limited, ...usage, ...upper };
    this.#onSample(sample, sandbox);
    return sample;
  }

  /** A file system of its own tells what it holds now; a directory on disk is measured now and then. */
  #upper(sandbox: Sandbox, { upperBytes }: Usage, at: Date) {
    const { upper } = sandbox;
    if (sandbox.lineage === null && (upper.kind === "tmpfs" || isImage(upper))) {
      const upperMeasuredAt = upperBytes === null ? null : at;
      return { upperBytes, upperMeasuredAt, upperLimit: upper.bytes ?? DEFAULT_UPPER_BYTES };
    }
    const { bytes = null, measuredAt = null } = this.#disks.figure(sandbox) ?? {};
    return { upperBytes: bytes, upperMeasuredAt: bytes === null ? null : measuredAt, upperLimit: upper.bytes ?? null };
  }

  #usage(id: string): Usage | undefined {
    try {
      return this.#source.usage(id);
    } catch (error) {
      if (error instanceof PlyboxError && error.code === "sandbox/not-found") return undefined;
      throw error;
    }
  }
}

/** Who has just made a sandbox, or paused one, sees that. */
const isFresh = (round: Round, now: number, sandboxes: readonly Sandbox[]): boolean =>
  now - round.startedMs < FRESH_MS &&
  round.sandboxes.length === sandboxes.length &&
  round.sandboxes.every((sandbox, index) => sandbox === sandboxes[index]);

/**
 * Calls `sample` at once and then every `intervalMs`, and adds the cores in use between one answer and the next. Ends
 * when the signal aborts.
 */
export async function* usageSeries(
  sample: () => readonly UsageSample[] | Promise<readonly UsageSample[]>,
  intervalMs: number,
  signal: AbortSignal,
): AsyncGenerator<readonly UsageSample[], void, undefined> {
  let before: ReadonlyMap<string, UsageSample> = new Map();
  while (!signal.aborted) {
    const began = performance.now();
    const now = (await sample()).map((each) => withCores(each, before.get(each.sandbox)));
    before = new Map(now.map((each) => [each.sandbox, each]));
    yield now;
    const wait = Math.max(0, intervalMs - (performance.now() - began));
    await setTimeout(wait, undefined, { signal, ref: false }).catch(() => {});
  }
}

function withCores(now: UsageSample, before: UsageSample | undefined): UsageSample {
  if (before === undefined || now.cpuMs === null || before.cpuMs === null) return now;
  const wallMs = now.at.getTime() - before.at.getTime();
  // Two watchers of short intervals may have been given one and the same reading.
  if (wallMs <= 0) return { ...now, cores: before.cores };
  return { ...now, cores: Math.max(0, (now.cpuMs - before.cpuMs) / wallMs) };
}
