import type { BuildInstruction, BuildProgress } from "../../model/layer.ts";
import { masked } from "../../model/printable.ts";
import type { CliContext } from "../context.ts";
import { formatSize } from "../values/size.ts";
import { Progress, progressBar } from "./progress.ts";

type Step = BuildProgress["step"];

const STEPS: Readonly<Record<Step, string>> = {
  pull: "pulling",
  install: "installing",
  read: "reading",
  pack: "packing",
  run: "running",
  copy: "copying",
  cached: "found",
};
/** What is told as it goes on; of others, that they have begun. */
const COUNTED: ReadonlySet<Step> = new Set(["install", "read", "pack"]);
/** With less to do, a log has no use for how far it is. */
const WORTH_TELLING_BYTES = 64 * 1024 ** 2;

/** Tells how far the build of a layer is while it lasts: on a terminal in one line, elsewhere in a line for each step. */
export class BuildReport implements Disposable {
  readonly #name: string;
  readonly #progress: Progress;
  readonly #isLogged: boolean;

  /** @param options whether what is made is told to a program, which has no use for a log */
  constructor(name: string, { stderr }: Pick<CliContext, "stderr">, { json }: { readonly json?: true }) {
    this.#name = name;
    this.#progress = new Progress(stderr, `building ${name}`);
    this.#isLogged = json !== true;
  }

  update(progress: BuildProgress): void {
    this.#progress.update(describe(this.#name, progress));
    const milestone = this.#isLogged ? milestoneOf(progress) : undefined;
    if (milestone === undefined) return;
    this.#progress.reach(milestone, describe(this.#name, COUNTED.has(progress.step) ? progress : begun(progress)));
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
  }
}

/** What a command says is in its error where it matters; the line of a log would be any of it. */
const begun = ({ detail: _, ...progress }: BuildProgress): BuildProgress => ({
  ...progress,
  ...{ doneBytes: 0, totalBytes: null },
});

function describe(name: string, { step, doneBytes, totalBytes, detail, instruction }: BuildProgress): string {
  const of = totalBytes === null ? "" : ` of ${formatSize(totalBytes)} ${progressBar(doneBytes, totalBytes)}`;
  const bytes = doneBytes === 0 && totalBytes === null ? "" : `${formatSize(doneBytes)}${of}`;
  const how = detail === undefined ? bytes : masked(detail);
  const what = instruction === undefined ? `${STEPS[step]} ${name}` : describeInstruction(instruction, step);
  return how === "" ? what : `${what}: ${how}`;
}

function describeInstruction({ index, count, text }: BuildInstruction, step: Step): string {
  const isPlain = step === "run" || step === "copy";
  return `[${index}/${count}] ${masked(text)}${isPlain ? "" : ` (${STEPS[step]})`}`;
}

/** What a line of a log is for; undefined for what needs none. */
function milestoneOf({ step, doneBytes, totalBytes, detail, instruction }: BuildProgress): string | undefined {
  const of = instruction?.index ?? 0;
  if (step === "install") return detail;
  if (!COUNTED.has(step)) return `${of} ${step}`;
  if (totalBytes === null || totalBytes < WORTH_TELLING_BYTES) return undefined;
  return `${of} ${step} ${Math.floor((10 * doneBytes) / totalBytes)}`;
}
