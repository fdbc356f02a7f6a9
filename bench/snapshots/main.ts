/** `npm run bench:snapshots`: what checkpoints, forks and snapshots cost, each beside what it is measured against. */
import { mkdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UndoStack } from "../../src/base/undo-stack.ts";
import { runInterruptible } from "../interruptible.ts";
import type { Figure, Suite } from "./figure.ts";
import { isHeld } from "./figure.ts";
import { FORKS } from "./forks.ts";
import { PACKING } from "./packing.ts";
import { SHARING } from "./sharing.ts";

const SUITES: readonly Suite[] = [FORKS, PACKING, SHARING];
const NAMES = SUITES.flatMap(({ names }) => names);

const USAGE = `npm run bench:snapshots [-- options]
  --only NAME    figures, by name, with commas between them: ${NAMES.join(", ")}
  --rounds N     how often each is measured (5)
  --json FILE    write the figures there as well`;

interface Options {
  readonly names: ReadonlySet<string>;
  readonly rounds: number;
  readonly json: string | undefined;
}

function parseOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ args: [...args], options: { only: text, rounds: text, json: text } });
  const rounds = Number(values.rounds ?? 5);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds is a whole number from 1\n${USAGE}`);
  const names = new Set(values.only?.split(",") ?? NAMES);
  for (const name of names) if (!NAMES.includes(name)) throw new Error(`there is no ${name}\n${USAGE}`);
  return { names, rounds, json: values.json };
}

function print(figure: Figure): void {
  const { name, value, unit, detail, bound } = figure;
  const asked = bound === undefined ? "" : `, ${isHeld(figure) ? "" : "NOT "}${bound.is} ${bound.value}`;
  console.log(`${name.padEnd(24)} ${value.toFixed(2).padStart(9)} ${unit}${asked}: ${detail}`);
}

async function measure({ names, rounds }: Options, signal: AbortSignal): Promise<readonly Figure[]> {
  await using undo = new UndoStack();
  const work = await mkdtemp(join(tmpdir(), "plybox-snapshots-"));
  undo.push("remove the directory", () => rm(work, { recursive: true, force: true }));
  console.log(`${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}; medians of ${rounds}`);
  const figures: Figure[] = [];
  for (const [i, suite] of SUITES.entries()) {
    if (!suite.names.some((name) => names.has(name))) continue;
    mkdirSync(join(work, `${i}`));
    const measured = await suite.run(join(work, `${i}`), rounds, signal);
    for (const figure of measured.filter(({ name }) => names.has(name))) {
      print(figure);
      figures.push(figure);
    }
  }
  return figures;
}

await runInterruptible(async (signal) => {
  const options = parseOptions(process.argv.slice(2));
  const figures = await measure(options, signal);
  if (options.json !== undefined) {
    const named = Object.fromEntries(figures.map(({ name, ...rest }) => [name, rest]));
    await writeFile(options.json, `${JSON.stringify(named, undefined, 2)}\n`);
  }
});
