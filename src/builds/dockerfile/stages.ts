import type { Instruction } from "./instructions.ts";
import { invalid, quoted } from "./refuse.ts";
import type { Place } from "./words.ts";

type From = Extract<Instruction, { readonly kind: "from" }>;
type Argument = Extract<Instruction, { readonly kind: "arg" }>;

/** A FROM and what follows it. */
export interface Stage {
  readonly from: From;
  /** Its image with variables replaced; of no meaning where it stands on a stage. */
  readonly image: string;
  /** Such as `linux/arm64`; null for this machine's. */
  readonly platform: string | null;
  /** The earlier stage that it stands on. */
  readonly parent: Stage | null;
  readonly instructions: readonly Instruction[];
  /** The earlier stages that its instructions copy from, by what they call them. */
  readonly sources: ReadonlyMap<string, Stage>;
}

export interface StagePlan {
  /** What the last one needs, each after those that it needs. */
  readonly stages: readonly Stage[];
  readonly target: Stage;
}

/** What stands before the first FROM, which are arguments alone. */
export function globalArguments(instructions: readonly Instruction[]): readonly Argument[] {
  const first = instructions.findIndex(({ kind }) => kind === "from");
  const before = first === -1 ? instructions : instructions.slice(0, first);
  return before.map((instruction) => {
    if (instruction.kind === "arg") return instruction;
    throw invalid(instruction.line, `${instruction.keyword} stands before the first FROM`);
  });
}

/**
 * @param target a stage's name or number; the last one by default
 * @param expand replaces the variables of a word of FROM
 * @throws PlyboxError `build/invalid`
 */
export function planStages(
  instructions: readonly Instruction[],
  target: string | undefined,
  expand: (word: string, place: Place) => string,
): StagePlan {
  const stages: Stage[] = [];
  for (const [index, from] of instructions.entries()) {
    if (from.kind !== "from") continue;
    const next = instructions.findIndex(({ kind }, at) => at > index && kind === "from");
    const own = instructions.slice(index + 1, next === -1 ? undefined : next);
    const image = expand(from.image, from);
    if (image === "") throw invalid(from.line, `${quoted(from.image)} is empty`);
    const platform = from.platform === null ? null : expand(from.platform, from);
    stages.push({
      from,
      image,
      platform,
      parent: called(stages, image) ?? null,
      instructions: own,
      sources: sourcesOf(own, stages),
    });
  }
  const last = stages.at(-1);
  if (last === undefined) throw invalid(1, "there is no FROM");
  const wanted = target === undefined ? last : numbered(stages, target);
  if (wanted === undefined) {
    const names = stages.flatMap(({ from }) => (from.stage === null ? [] : [from.stage]));
    const there = names.length === 0 ? "none has a name" : `there are ${names.join(", ")}`;
    throw invalid(last.from.line, `there is no stage ${quoted(target ?? "")}; ${there}`);
  }
  const needed = neededFor(wanted);
  return { stages: stages.filter((stage) => needed.has(stage)), target: wanted };
}

/** Of several with one name the last one is meant. */
const called = (stages: readonly Stage[], name: string): Stage | undefined =>
  stages.findLast(({ from }) => from.stage === name.toLowerCase());

const numbered = (stages: readonly Stage[], name: string): Stage | undefined =>
  called(stages, name) ?? (/^\d+$/.test(name) ? stages[Number(name)] : undefined);

function sourcesOf(instructions: readonly Instruction[], before: readonly Stage[]): ReadonlyMap<string, Stage> {
  const sources = new Map<string, Stage>();
  for (const instruction of instructions) {
    if (instruction.kind !== "copy" || instruction.from === null) continue;
    const stage = numbered(before, instruction.from);
    if (stage !== undefined) sources.set(instruction.from, stage);
    else if (/^\d+$/.test(instruction.from)) {
      throw invalid(instruction.line, `there is no stage ${instruction.from} before this one`);
    }
  }
  return sources;
}

function neededFor(target: Stage): ReadonlySet<Stage> {
  const needed = new Set<Stage>();
  const pending = [target];
  for (let stage = pending.pop(); stage !== undefined; stage = pending.pop()) {
    if (needed.has(stage)) continue;
    needed.add(stage);
    pending.push(...(stage.parent === null ? [] : [stage.parent]), ...stage.sources.values());
  }
  return needed;
}
