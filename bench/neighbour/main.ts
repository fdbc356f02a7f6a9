/** `npm run bench:neighbour`: how long a quiet sandbox's commands take while another one runs a bomb. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UndoStack } from "../../src/base/undo-stack.ts";
import { Plybox } from "../../src/client/index.ts";
import { Daemon } from "../daemon.ts";
import { HttpClient, jsonBytes } from "../http-client.ts";
import { runInterruptible } from "../interruptible.ts";
import type { Summary } from "../statistics.ts";
import { summarize } from "../statistics.ts";
import type { Bomb } from "./bombs.ts";
import { BOMBS } from "./bombs.ts";
import { Explosion } from "./explosion.ts";

const USAGE = `npm run bench:neighbour [-- options]
  --runs N     commands measured alone and beside each bomb (200)
  --rounds N   turns in which they are measured (4)
  --only NAME  bombs, by name, with commas between them
  --json FILE  write the figures there as well`;

/** What a neighbour may take, as many times as it takes alone: the bar. */
const MOST = 2;
const WARM_UP = 50;

interface Options {
  readonly runs: number;
  readonly rounds: number;
  readonly bombs: readonly Bomb[];
  readonly json: string | undefined;
}

interface Figures {
  readonly name: string;
  readonly quiet: Summary;
  readonly beside: Summary;
  /** Of the two p50. */
  readonly ratio: number;
}

function parseOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ args: [...args], options: { runs: text, rounds: text, only: text, json: text } });
  const count = (name: "runs" | "rounds", standard: number): number => {
    const number = Number(values[name] ?? standard);
    if (Number.isInteger(number) && number > 0) return number;
    throw new Error(`--${name} is a whole number from 1\n${USAGE}`);
  };
  const names = values.only?.split(",");
  const unknown = names?.find((name) => BOMBS.every((bomb) => bomb.name !== name));
  if (unknown !== undefined)
    throw new Error(`there is no bomb ${unknown}: ${BOMBS.map(({ name }) => name).join(", ")}`);
  const bombs = BOMBS.filter(({ name }) => names?.includes(name) ?? true);
  return { runs: count("runs", 200), rounds: count("rounds", 4), bombs, json: values.json };
}

/** The times of so many commands in a sandbox, one after the other. */
async function time(client: HttpClient, sandbox: string, runs: number): Promise<readonly number[]> {
  const body = jsonBytes({ command: ["/bin/true"] });
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    times.push((await client.send("POST", `/v1/sandboxes/${sandbox}/exec`, body)).ms);
  }
  return times;
}

async function measure(options: Options, signal: AbortSignal): Promise<readonly Figures[]> {
  await using undo = new UndoStack();
  const directory = await mkdtemp(join(tmpdir(), "plybox-neighbour-"));
  undo.push("remove the directory", () => rm(directory, { recursive: true, force: true }));
  const daemon = new Daemon({ directory, runDirectory: join(directory, "run"), logLevel: "warn" });
  undo.push("end the daemon and what it made", () => daemon[Symbol.asyncDispose]());
  await daemon.start();
  const plybox = new Plybox({ socketPath: daemon.socketPath });
  undo.push("close the client", () => plybox.close());
  const quiet = await plybox.create({ layers: ["host"] });
  using client = new HttpClient(daemon.socketPath);
  await time(client, quiet.id, WARM_UP);
  const figures: Figures[] = [];
  for (const bomb of options.bombs) {
    const alone: number[] = [];
    const beside: number[] = [];
    // In turns, so that what else the machine does falls on both.
    for (let round = 0; round < options.rounds; round++) {
      signal.throwIfAborted();
      const runs = Math.ceil(options.runs / options.rounds);
      alone.push(...(await time(client, quiet.id, runs)));
      await using _explosion = await Explosion.begin(plybox, bomb, daemon.socketPath);
      beside.push(...(await time(client, quiet.id, runs)));
    }
    figures.push(figuresOf(bomb.name, alone, beside));
    print(figures.at(-1));
  }
  return figures;
}

function figuresOf(name: string, alone: readonly number[], with_: readonly number[]): Figures {
  const quiet = summarize(alone);
  const beside = summarize(with_);
  return { name, quiet, beside, ratio: beside.p50 / quiet.p50 };
}

const row = (cells: readonly string[]): string =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(16) : cell.padStart(9))).join("");

function print(figures: Figures | undefined): void {
  if (figures === undefined) return;
  const { name, quiet, beside, ratio } = figures;
  const times = [quiet.p50, quiet.p90, quiet.p99, beside.p50, beside.p90, beside.p99].map((ms) => ms.toFixed(2));
  console.log(row([name, ...times, `${ratio.toFixed(2)} x`]));
}

await runInterruptible(async (signal) => {
  const options = parseOptions(process.argv.slice(2));
  console.log(
    `${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(2)}; a neighbour's exec of /bin/true, in ms`,
  );
  console.log(row(["beside", "p50 alone", "p90", "p99", "p50", "p90", "p99", "ratio"]));
  const figures = await measure(options, signal);
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, undefined, 2)}\n`);
  const over = figures.filter(({ ratio }) => ratio > MOST);
  for (const { name } of over) console.error(`OVER: beside ${name} the p50 is over ${MOST} times the quiet one`);
  process.exitCode = over.length === 0 ? 0 : 1;
});
