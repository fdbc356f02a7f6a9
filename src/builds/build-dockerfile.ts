import { createHash } from "node:crypto";
import { join } from "node:path";
import { UndoStack } from "../base/undo-stack.ts";
import { hostPlatform } from "../layers/oci/platform.ts";
import { formatPlatform } from "../model/image-source.ts";
import type { BuildInstruction, BuildProgress, LayerManifest, PackingRequest, Provenance } from "../model/layer.ts";
import type { Limits } from "../model/sandbox.ts";
import type { BuiltStages } from "./build-stages.ts";
import { buildStages } from "./build-stages.ts";
import type { BuildInput } from "./context/build-context.ts";
import { openContext } from "./context/build-context.ts";
import type { Instruction } from "./dockerfile/instructions.ts";
import { parseDockerfile } from "./dockerfile/instructions.ts";
import type { Arguments } from "./dockerfile/stage-state.ts";
import { declare, isPredefined, newStage } from "./dockerfile/stage-state.ts";
import { globalArguments, planStages } from "./dockerfile/stages.ts";
import { expand } from "./dockerfile/words.ts";
import { keyOf, StepRunner } from "./steps/step-runner.ts";
import type { BuildParts } from "./steps/step-sandbox.ts";

export interface DockerfileRequest {
  readonly input: BuildInput;
  /** What the Dockerfile is called in the manifest. */
  readonly source: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** A stage, by name or number; the last one by default. */
  readonly target?: string;
  /** Whether every step is done again, and images are asked for again. */
  readonly noCache?: boolean;
  /** Of each step's sandbox. */
  readonly limits?: Partial<Limits>;
  /** Where paths of images begin; images of this machine's files are refused without it. */
  readonly imageDirectory?: string;
  readonly replace?: boolean;
  readonly packing?: PackingRequest;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

export interface DockerfileLayer {
  readonly manifest: LayerManifest;
  /** What of the Dockerfile has no effect. */
  readonly warnings: readonly string[];
}

/**
 * Makes a layer of a Dockerfile, on the layer that its last stage stands on: each step that changes files is done in a
 * sandbox without network, and kept for the next build; together they become one layer.
 * @throws PlyboxError `build/invalid`, `build/unsupported`, `build/step-failed`, and as layers and sandboxes are made
 */
export async function buildDockerfile(
  parts: BuildParts,
  name: string,
  request: DockerfileRequest,
): Promise<DockerfileLayer> {
  const { noCache = false, limits, signal, imageDirectory = null } = request;
  await using undo = new UndoStack();
  const report = new Reporter(request.onProgress);
  const { onProgress } = report;
  const places = { path: join(parts.workspace, "context"), own: parts.own };
  const spool = { bounds: parts.bounds, signal };
  const context = await openContext(request.input, places, {
    ...spool,
    onBytes: (doneBytes) => onProgress({ step: "read", doneBytes, totalBytes: null }),
  });
  undo.push("close the context", async () => context.tree[Symbol.asyncDispose]());
  const instructions = parseDockerfile(context.dockerfile);
  const args = argumentsOf(instructions, request.buildArgs ?? {});
  const plan = planStages(instructions, request.target, (word, place) =>
    expand(word, (variable) => args.global.get(variable), place),
  );
  using steps = parts.layers.make.steps();
  const runner = new StepRunner({ parts, steps, noCache, limits, signal, spool, onProgress });
  const bases = { parts, steps, noCache, imageDirectory, signal, onProgress };
  const built = await buildStages({ plan, context, args, runner, bases, undo, follow: (each) => report.follow(each) });
  report.follow(undefined);
  const manifest = await layerOf(built, { parts, name, request, runner, text: context.dockerfile, onProgress });
  return { manifest, warnings: [...built.warnings, ...unusedArguments(instructions, args)] };
}

interface Finish {
  readonly parts: BuildParts;
  readonly name: string;
  readonly request: DockerfileRequest;
  readonly runner: StepRunner;
  /** The Dockerfile. */
  readonly text: string;
  readonly onProgress: (progress: BuildProgress) => void;
}

/** Of the same steps it is the same layer, which need not be packed again. */
async function layerOf(built: BuiltStages, { parts, name, request, runner, text, onProgress }: Finish) {
  const { replace = false, packing, signal, noCache = false } = request;
  const { layers } = parts;
  const { steps } = runner.options;
  const { base, stack, state } = built;
  const key = keyOf(["layer", stack, state.config, layers.make.packingFor(packing)]);
  const known = noCache ? undefined : await steps.find(key);
  if (known !== undefined) return await layers.make.giveName(name, known.digest, replace);
  const manifest = await layers.make.packed(
    name,
    async (staging, work) => {
      await runner.packAll(stack, staging, work);
      return { provenance: provenanceOf(request, text, built), config: state.config };
    },
    {
      parents: base === null ? [] : [base.digest],
      ...{ replace, onProgress },
      ...(packing && { packing }),
      ...(signal && { signal }),
    },
  );
  await steps.note(key, manifest.digest);
  return manifest;
}

/** Tells how far it is, with the instruction that is followed. */
class Reporter {
  readonly #listener: DockerfileRequest["onProgress"];
  #instruction: BuildInstruction | undefined;

  constructor(listener: DockerfileRequest["onProgress"]) {
    this.#listener = listener;
  }

  readonly onProgress = (progress: BuildProgress): void => {
    this.#listener?.({ ...progress, ...(this.#instruction && { instruction: this.#instruction }) });
  };

  follow(instruction: BuildInstruction | undefined): void {
    this.#instruction = instruction;
  }
}

function argumentsOf(instructions: readonly Instruction[], buildArgs: Readonly<Record<string, string>>): Arguments {
  const given = new Map(Object.entries(buildArgs));
  const { os, architecture, variant } = hostPlatform();
  const machine = ["TARGET", "BUILD"].flatMap((which): [string, string][] => [
    [`${which}PLATFORM`, formatPlatform({ os, architecture, variant })],
    [`${which}OS`, os],
    [`${which}ARCH`, architecture],
    [`${which}VARIANT`, variant ?? ""],
  ]);
  let global: ReadonlyMap<string, string> = new Map(machine);
  for (const instruction of globalArguments(instructions)) {
    global = declare({ config: newStage().config, args: global }, instruction, { given, global });
  }
  return { given, global };
}

function unusedArguments(instructions: readonly Instruction[], { given }: Arguments): readonly string[] {
  const declared = new Set(
    instructions.flatMap((each) => (each.kind === "arg" ? each.declared.map(([name]) => name) : [])),
  );
  const unused = [...given.keys()].filter((name) => !declared.has(name) && !isPredefined(name));
  return unused.map((name) => `the Dockerfile declares no argument ${name}`);
}

function provenanceOf(
  { source }: DockerfileRequest,
  text: string,
  { commands, copied, bases, base }: BuiltStages,
): Provenance {
  const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const others = bases.filter((each) => each.digest !== base?.digest);
  const hosts = [...new Set(bases.flatMap(({ provenance }) => provenance.hosts ?? []))];
  return {
    kind: "dockerfile",
    source: `${source} ${digest}`,
    inputs: [
      { kind: "file", name: source, digest },
      ...others.map((layer) => ({ kind: "layer" as const, name: layer.name, digest: `sha256:${layer.digest}` })),
      ...copied.map((each) => ({ kind: "file" as const, ...each })),
    ],
    ...(commands.length > 0 && { commands }),
    ...(hosts.length > 0 && { hosts }),
  };
}
