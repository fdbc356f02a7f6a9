import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BuildSteps } from "../../layers/build-steps.ts";
import { completeCompression } from "../../layers/compression.ts";
import { imagePath } from "../../layers/pack-image.ts";
import type { PlanWork } from "../../layers/pack-plan.ts";
import { unsquash } from "../../layers/unpacked-image.ts";
import type { Digest } from "../../model/ids.ts";
import { parseLayerName } from "../../model/ids.ts";
import type { BuildProgress, LayerManifest, Provenance } from "../../model/layer.ts";
import type { Limits } from "../../model/sandbox.ts";
import { flattenPlies } from "../../snapshots/plies/flatten.ts";
import { packPly } from "../../snapshots/plies/pack-ply.ts";
import type { SpoolWork } from "../file-tree.ts";
import type { BuildParts } from "./step-sandbox.ts";
import { StepSandbox } from "./step-sandbox.ts";

/** Above whatever a build stands on. */
const STEP_LAYER = parseLayerName("999-step");
/** A step is packed to be stood on by the next one. */
const STEP_PACKING = { format: "squashfs", compression: completeCompression("squashfs", "snapshot") } as const;
/** Another one where the same step has another result. */
const KEY_VERSION = 2;
/** A sandbox stands on 64 layers; some of them are what the build began with. */
const MOST_STEPS_ABOVE = 32;

export interface RunnerOptions {
  readonly parts: BuildParts;
  readonly steps: BuildSteps;
  /** Whether every step is done again. */
  readonly noCache: boolean;
  readonly limits: Partial<Limits> | undefined;
  readonly signal: AbortSignal | undefined;
  /** Of archives that are kept while it lasts. */
  readonly spool: SpoolWork;
  readonly onProgress: (progress: BuildProgress) => void;
}

/** Something that changes files. */
export interface Step {
  /** What is told while it is done. */
  readonly kind: "run" | "copy";
  /** All that its result depends on, beside the layers that it is done on. */
  readonly key: unknown;
  /** As the Dockerfile has it. */
  readonly text: string;
  /** Done before there is a sandbox of it, where there is no layer of it yet. */
  readonly prepare?: () => Promise<void>;
  readonly work: (sandbox: StepSandbox) => Promise<void>;
}

/** The layers of a stage. */
export interface Stack {
  /** What the stage stands on; null for nothing. */
  readonly base: Digest | null;
  /** What its steps have made, and those of stages below it, lowest first. */
  readonly steps: readonly Digest[];
}

/** Does steps in sandboxes, each in one of its own, and keeps what each has written as a layer; or finds that layer. */
export class StepRunner {
  readonly options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.options = options;
  }

  /** @throws PlyboxError as `step.work` does, and as packing does */
  async add(stack: Stack, step: Step): Promise<Stack> {
    const below = stack.steps.length < MOST_STEPS_ABOVE ? stack : await this.#flattened(stack);
    const layers = await this.layersOf(below);
    const key = keyOf(["step", layers, step.key]);
    const known = this.options.noCache ? undefined : await this.options.steps.find(key);
    this.options.onProgress({ step: known ? "cached" : step.kind, doneBytes: 0, totalBytes: null });
    const made = known ?? (await this.#make(key, layers, step));
    return { ...below, steps: [...below.steps, made.digest] };
  }

  /** What a sandbox of the stage stands on. Of nothing it is a layer with nothing in it. */
  async layersOf({ base, steps }: Stack): Promise<readonly Digest[]> {
    if (base !== null) return [base, ...steps];
    return steps.length > 0 ? steps : [(await this.#empty()).digest];
  }

  /**
   * Leaves what the steps of a stage have made as one ply, to be packed as the layer's image.
   * @throws as `flattenPlies` and `packPly`
   */
  async packAll({ base, steps }: Stack, staging: string, work: PlanWork): Promise<void> {
    const scratch = await this.#scratch();
    const { marks } = this.options.parts;
    const attributes = marks === "user" ? "user" : "all";
    const plies: string[] = [];
    for (const [index, digest] of steps.entries()) {
      const ply = join(scratch, `ply-${index}`);
      await unsquash(await this.options.steps.imageOf(digest), ply, { strict: true, attributes });
      plies.push(ply);
    }
    const target = join(scratch, "all");
    await mkdir(target, { mode: 0o755 });
    if (plies.length > 0) await flattenPlies({ plies, target, isLowest: base === null, marks, ...signalOf(work) });
    await this.#pack(target, staging, work);
    await rm(scratch, { recursive: true, force: true });
  }

  async #make(key: Digest, layers: readonly Digest[], { text, prepare, work }: Step): Promise<LayerManifest> {
    const { parts, limits, signal } = this.options;
    await prepare?.();
    await using sandbox = await StepSandbox.open(parts, layers, { limits, signal });
    await work(sandbox);
    const upper = await sandbox.finish();
    return await this.#keep(key, { kind: "step", source: text.slice(0, 1000) }, (staging, packing) =>
      this.#pack(upper, staging, packing),
    );
  }

  async #flattened(stack: Stack): Promise<Stack> {
    const key = keyOf(["flat", stack.base, stack.steps]);
    const flat =
      (await this.options.steps.find(key)) ??
      (await this.#keep(key, { kind: "step", source: `${stack.steps.length} steps` }, (staging, work) =>
        this.packAll(stack, staging, work),
      ));
    return { ...stack, steps: [flat.digest] };
  }

  async #empty(): Promise<LayerManifest> {
    const key = keyOf(["empty"]);
    const known = await this.options.steps.find(key);
    return (
      known ??
      (await this.#keep(key, { kind: "step", source: "nothing" }, (staging, work) =>
        this.packAll({ base: null, steps: [] }, staging, work),
      ))
    );
  }

  async #keep(
    key: Digest,
    provenance: Provenance,
    pack: (staging: string, work: PlanWork) => Promise<void>,
  ): Promise<LayerManifest> {
    const { steps, signal, onProgress } = this.options;
    const packed = async (staging: string, work: PlanWork) => {
      await pack(staging, work);
      return { provenance };
    };
    const way = { onProgress, ...(signal && { signal }) };
    return await steps.make(key, STEP_LAYER, packed, { packing: STEP_PACKING, ...way });
  }

  async #pack(source: string, staging: string, work: PlanWork): Promise<void> {
    const { packing, bounds, onProgress } = work;
    await packPly({
      ...{ source, packing, image: imagePath(staging, packing.format), marks: this.options.parts.marks },
      most: { entries: bounds.inodes, bytes: bounds.unpackedBytes },
      ...signalOf(work),
      ...(onProgress && { onProgress }),
    });
  }

  async #scratch(): Promise<string> {
    return await mkdtemp(join(this.options.parts.workspace, "scratch-"));
  }
}

const signalOf = ({ signal }: Pick<PlanWork, "signal">) => (signal === undefined ? {} : { signal });

/** Names a layer by all that it was made from. */
export const keyOf = (what: readonly unknown[]): Digest =>
  createHash("sha256")
    .update(JSON.stringify([KEY_VERSION, ...what]))
    .digest("hex") as Digest;
