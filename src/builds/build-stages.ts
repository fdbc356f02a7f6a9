import { join } from "node:path";
import type { UndoStack } from "../base/undo-stack.ts";
import { PlyboxError } from "../model/errors.ts";
import type { BuildInstruction, BuildProgress, LayerManifest } from "../model/layer.ts";
import type { BaseOptions } from "./bases.ts";
import { findBase } from "./bases.ts";
import type { BuildContext } from "./context/build-context.ts";
import { unpackAdded } from "./copy/added-archive.ts";
import { ContentDigests } from "./copy/copied.ts";
import { findSources } from "./copy/find-sources.ts";
import { stageSources } from "./copy/stage-sources.ts";
import type { Instruction } from "./dockerfile/instructions.ts";
import { unsupported } from "./dockerfile/refuse.ts";
import type { Arguments, StageState } from "./dockerfile/stage-state.ts";
import { follow, newStage, pathIn } from "./dockerfile/stage-state.ts";
import type { Stage, StagePlan } from "./dockerfile/stages.ts";
import type { FileTree } from "./file-tree.ts";
import type { Copy, CopyOrder, Source } from "./steps/copy-step.ts";
import { copyStep, documentSources, orderOf } from "./steps/copy-step.ts";
import { runStep } from "./steps/run-step.ts";
import type { Stack, Step, StepRunner } from "./steps/step-runner.ts";
import { StepSandbox } from "./steps/step-sandbox.ts";

/** Other builders fetch them. */
const REMOTE = /^(?:https?|ftp|git):\/\/|^git@|\.git(?:#.*)?$/;

export interface StageBuild {
  readonly plan: StagePlan;
  readonly context: BuildContext;
  readonly args: Arguments;
  readonly runner: StepRunner;
  readonly bases: BaseOptions;
  /** Closes what was opened, when the build is over. */
  readonly undo: UndoStack;
  /** Told of each instruction before it is followed. */
  readonly follow: (instruction: BuildInstruction) => void;
}

/** A stage that is done. */
interface Built {
  readonly state: StageState;
  readonly stack: Stack;
  readonly base: LayerManifest | null;
}

/** What became of the last stage, and what was done for it. */
export interface BuiltStages extends Built {
  /** Of every RUN. */
  readonly commands: readonly (readonly string[])[];
  /** What was copied, by name and digest. */
  readonly copied: readonly { readonly name: string; readonly digest: string }[];
  /** Every layer that a stage stands on, or that something was copied from. */
  readonly bases: readonly LayerManifest[];
  readonly warnings: readonly string[];
}

/**
 * Follows the instructions of all stages that are needed.
 * @throws PlyboxError `build/…`, and as bases and sandboxes are made
 */
export async function buildStages(build: StageBuild): Promise<BuiltStages> {
  return await new StageBuilder(build).all();
}

class StageBuilder {
  readonly #build: StageBuild;
  readonly #built = new Map<Stage, Built>();
  readonly #digests = new ContentDigests();
  readonly #commands: (readonly string[])[] = [];
  readonly #copied: { readonly name: string; readonly digest: string }[] = [];
  readonly #bases = new Map<string, LayerManifest>();
  readonly #warnings: string[] = [];
  readonly #count: number;
  #index = 0;
  #spools = 0;

  constructor(build: StageBuild) {
    this.#build = build;
    this.#count = build.plan.stages.reduce((sum, { instructions }) => sum + 1 + instructions.length, 0);
  }

  async all(): Promise<BuiltStages> {
    const { stages, target } = this.#build.plan;
    for (const stage of stages) this.#built.set(stage, await this.#stage(stage));
    const last = this.#built.get(target) as Built;
    return {
      ...last,
      ...{ commands: this.#commands, copied: this.#copied, bases: [...this.#bases.values()], warnings: this.#warnings },
    };
  }

  async #stage(stage: Stage): Promise<Built> {
    const { from, image, platform, parent, instructions } = stage;
    this.#announce(from);
    let { state, stack, base } = parent ? this.#standOn(parent) : await this.#begin(image, platform, from.line);
    for (const instruction of instructions) {
      this.#announce(instruction);
      const step = await this.#stepOf(instruction, state, stage);
      state = follow(state, instruction, this.#build.args);
      if (step !== undefined) stack = await this.#add(stack, step, instruction);
      if (instruction.kind === "ignored") {
        this.#warnings.push(`line ${instruction.line}: ${instruction.keyword} has no effect here`);
      }
    }
    return { state, stack, base };
  }

  #standOn(parent: Stage): Built {
    const built = this.#built.get(parent) as Built;
    return { ...built, state: { ...newStage(built.state.config), shell: built.state.shell } };
  }

  async #begin(image: string, platform: string | null, line: number): Promise<Built> {
    const base = await this.#base({ image, platform, line });
    const config = base === null ? undefined : await this.#configOf(base);
    return { base, state: newStage(config), stack: { base: base?.digest ?? null, steps: [] } };
  }

  async #base(reference: Parameters<typeof findBase>[0]): Promise<LayerManifest | null> {
    const base = await findBase(reference, this.#build.bases);
    if (base !== null) this.#bases.set(base.digest, base);
    return base;
  }

  /** Of the highest of the layers that it brings along, as sandboxes have it. */
  async #configOf({ digest }: LayerManifest) {
    const layers = await this.#build.bases.parts.layers.resolve([digest]);
    return layers.findLast(({ config }) => config !== undefined)?.config;
  }

  async #add(stack: Stack, step: Step, { line, keyword, text }: Instruction): Promise<Stack> {
    try {
      return await this.#build.runner.add(stack, step);
    } catch (error) {
      if (!(error instanceof PlyboxError) || !/^(?:exec|file)\/|^layer\/too-large$/.test(error.code)) throw error;
      const message = `line ${line}: ${keyword} ${text.slice(0, 200)}: ${error.message}`;
      const code = error.code === "layer/too-large" ? error.code : "build/step-failed";
      throw new PlyboxError(code, message, { line, cause: error });
    }
  }

  async #stepOf(instruction: Instruction, state: StageState, stage: Stage): Promise<Step | undefined> {
    switch (instruction.kind) {
      case "run": {
        const onLine = (detail: string) => this.#tell({ step: "run", doneBytes: 0, totalBytes: null, detail });
        const step = runStep(instruction, state, { args: this.#build.args, onLine });
        this.#commands.push(step.argv);
        return step;
      }
      case "copy":
      case "add":
        return await this.#copy(instruction, state, stage);
      case "workdir": {
        const path = pathIn(follow(state, instruction, this.#build.args), ".");
        return {
          kind: "copy",
          key: ["workdir", path],
          text: `WORKDIR ${path}`,
          work: (sandbox) => sandbox.makeDirectory(path),
        };
      }
      default:
        return undefined;
    }
  }

  async #copy(copy: Copy, state: StageState, stage: Stage): Promise<Step> {
    const order = orderOf(copy, state);
    const remote = copy.kind === "add" ? order.sources.find((source) => REMOTE.test(source)) : undefined;
    if (remote !== undefined) throw unsupported(copy.line, "ADD fetches nothing here; bring it into the context");
    const documents = order.documents.map(({ name, content }) => [name, content]);
    if (copy.from !== null) {
      const from = await this.#layersOf(copy.from, stage, copy.line);
      return copyStep(order, ["stage", from, order.sources, documents], async () => [
        ...(await this.#fromStage(order, from)),
        ...(await this.#documents(order)),
      ]);
    }
    const found = order.sources.flatMap((source) => this.#fromContext(source, order.line));
    const contents: unknown[] = [];
    for (const { name, node, tree } of found) {
      const digest = await this.#digests.of(node, tree.file);
      contents.push([node.type === "directory" ? "" : name, digest]);
      this.#copied.push({ name: order.text, digest: `sha256:${digest}` });
    }
    return copyStep(order, [copy.kind, contents, documents], async () => [
      ...(copy.kind === "add" ? await this.#unpacked(found) : found),
      ...(await this.#documents(order)),
    ]);
  }

  #fromContext(source: string, line: number): readonly Source[] {
    const { tree } = this.#build.context;
    return findSources(tree.root, source, line).map((found) => ({ ...found, tree }));
  }

  async #unpacked(sources: readonly Source[]): Promise<readonly Source[]> {
    const all: Source[] = [];
    for (const source of sources) {
      const added = await unpackAdded(source, this.#spoolPath(), this.#build.runner.options.spool);
      if (added !== source) this.#closeLater(added.tree);
      all.push(added);
    }
    return all;
  }

  async #documents(order: CopyOrder): Promise<readonly Source[]> {
    if (order.documents.length === 0) return [];
    const sources = await documentSources(order, this.#spoolPath());
    this.#closeLater((sources[0] as Source).tree);
    return sources;
  }

  async #layersOf(name: string, stage: Stage, line: number): Promise<readonly LayerManifest["digest"][]> {
    const source = stage.sources.get(name);
    if (source !== undefined) return await this.#build.runner.layersOf((this.#built.get(source) as Built).stack);
    const base = await this.#base({ image: name, platform: null, line });
    return await this.#build.runner.layersOf({ base: base?.digest ?? null, steps: [] });
  }

  async #fromStage(order: CopyOrder, layers: readonly LayerManifest["digest"][]): Promise<readonly Source[]> {
    const { parts, signal, spool } = this.#build.runner.options;
    await using sandbox = await StepSandbox.open(parts, layers, { signal });
    const nextPath = (): string => this.#spoolPath();
    const sources = await stageSources(sandbox, order.sources, { ...spool, nextPath, line: order.line });
    for (const { tree } of sources) this.#closeLater(tree);
    return sources;
  }

  #closeLater({ file }: Pick<FileTree, "file">): void {
    this.#build.undo.push("close what was copied", () => file.close());
  }

  #spoolPath(): string {
    return join(this.#build.bases.parts.workspace, `spool-${this.#spools++}`);
  }

  /** From here on what is told is of this instruction. */
  #announce(instruction: Instruction): void {
    this.#index++;
    const { line, keyword, text } = instruction;
    this.#build.follow({ index: this.#index, count: this.#count, line, text: `${keyword} ${text}`.slice(0, 200) });
  }

  #tell(progress: BuildProgress): void {
    this.#build.runner.options.onProgress(progress);
  }
}
