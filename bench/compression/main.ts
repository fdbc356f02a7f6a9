/** `npm run bench:compression`: what each way to pack layers costs and gives, for a Python and a Node of this machine. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UndoStack } from "../../src/base/undo-stack.ts";
import { runInterruptible } from "../interruptible.ts";
import { copyRuntimes } from "./runtimes.ts";
import { BLOCKS, NAMES, settingsOf } from "./settings.ts";
import type { Figures } from "./trial.ts";
import { Trial } from "./trial.ts";

const USAGE = `npm run bench:compression [-- options]
  --only NAME    ways to pack, by name, with commas between them: ${NAMES.join(", ")}
  --blocks KIB   sizes of blocks (${BLOCKS.map((bytes) => bytes / 1024).join(",")})
  --rounds N     how often each image is read and executed from (3)
  --json FILE    write the figures there as well`;

interface Options {
  readonly names: ReadonlySet<string>;
  readonly blocks: readonly number[];
  readonly rounds: number;
  readonly json: string | undefined;
}

function parseOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ args: [...args], options: { only: text, blocks: text, rounds: text, json: text } });
  const rounds = Number(values.rounds ?? 3);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds is a whole number from 1\n${USAGE}`);
  const names = new Set(values.only?.split(",") ?? NAMES);
  for (const name of names) if (!NAMES.includes(name)) throw new Error(`there is no ${name}\n${USAGE}`);
  const blocks = values.blocks?.split(",").map((kib) => Number(kib) * 1024) ?? BLOCKS;
  return { names, blocks, rounds, json: values.json };
}

const COLUMNS = ["ratio", "pack MB/s", "MB/cpu s", "cold MB/s", "warm MB/s", "python ms", "node ms"];

const row = (name: string, block: string, cells: readonly string[]): string =>
  name.padEnd(18) + block.padStart(6) + cells.map((cell) => cell.padStart(11)).join("");

function print({ setting, blockBytes, ratio, compressMBs, compressMBPerCpuSecond, ...use }: Figures): void {
  const packing = blockBytes === 0 ? ["-", "-"] : [compressMBs.toFixed(1), compressMBPerCpuSecond.toFixed(1)];
  const reading = [use.coldReadMBs, use.warmReadMBs, use.firstExecMs.python, use.firstExecMs.node];
  const cells = [ratio.toFixed(2), ...packing, ...reading.map((figure) => figure.toFixed(0))];
  console.log(row(setting, blockBytes === 0 ? "-" : `${blockBytes / 1024}K`, cells));
}

const load = (): string =>
  loadavg()
    .map((figure) => figure.toFixed(1))
    .join(" ");

async function measure(options: Options, signal: AbortSignal): Promise<readonly Figures[]> {
  await using undo = new UndoStack();
  const work = await mkdtemp(join(tmpdir(), "plybox-compression-"));
  undo.push("remove the directory", () => rm(work, { recursive: true, force: true }));
  const tree = copyRuntimes(join(work, "tree"));
  const trial = await Trial.open(tree, work, options.rounds);
  undo.push("end the launcher", () => trial[Symbol.asyncDispose]());
  const size = `${(tree.bytes / 1e6).toFixed(0)} MB in ${tree.files} files`;
  console.log(
    `${availableParallelism()} cores, load ${load()}; Python and Node, ${size}; medians of ${options.rounds}`,
  );
  console.log(row("", "block", COLUMNS));
  const figures = [await trial.plain()];
  for (const setting of settingsOf(options.names, options.blocks)) {
    print(figures.at(-1) as Figures);
    signal.throwIfAborted();
    figures.push(await trial.run(setting));
  }
  print(figures.at(-1) as Figures);
  console.log(`load at the end ${load()}`);
  return figures;
}

await runInterruptible(async (signal) => {
  const options = parseOptions(process.argv.slice(2));
  const figures = await measure(options, signal);
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, undefined, 2)}\n`);
});
