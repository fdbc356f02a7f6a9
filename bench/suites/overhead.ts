import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Benchmark, BenchmarkName, Measured, Unavailable } from "../benchmark.ts";
import type { Confinement, OwnConfinement } from "../confinements.ts";
import { isUsable, others, overlay, plybox, plyboxUser, UNCONFINED } from "../confinements.ts";
import type { Sampling } from "../interleave.ts";
import { interleave } from "../interleave.ts";
import { figure } from "../report.ts";
import { summarize } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const NS_PER_MS = 1e6;
const FILES = 1000;
const FILE_BYTES = 8192;
/** After one that is not counted. A sample is their mean. */
const PASSES = 10;
/** Of what takes seconds there are as many times fewer samples than of what takes milliseconds. */
const FEWER = 100;
/** Machine's files that are as large as what programs mostly read: sources, headers, modules. */
const MACHINE_BYTES = { min: 1024, max: 64 * 1024 };
/** The budgets of DESIGN.md, against the same program unconfined. */
const BUDGETS: Partial<Record<BenchmarkName, number>> = {
  "file-reads": 1.03,
  "machine-file-reads": 1.03,
  compute: 1.01,
};

/** A thousand files that were written inside, read again. */
export async function fileReads(bench: Workbench): Promise<Benchmark> {
  const names = Array.from({ length: FILES }, (_, index) => `file-${index}`);
  return await compare(bench, {
    name: "file-reads",
    method: `open, read and close ${FILES} files of ${FILE_BYTES} bytes that were written inside, in memory on all sides; ${bench.described}`,
    beside: async (own, program) => [await overlay(bench, program), plyboxUser(own)],
    sampling: bench.sampling,
    async measure(one) {
      const paths = names.map((name) => join(one.ownDirectory, name)).join("\n");
      return meanMs(await one.run(["files", String(PASSES), String(FILE_BYTES)], `${paths}\n`));
    },
  });
}

/** A thousand files of the machine's /usr, the same ones on all sides. */
export async function machineFileReads(bench: Workbench): Promise<Benchmark> {
  const paths = await machineFiles();
  return await compare(bench, {
    name: "machine-file-reads",
    method: `open, read and close ${paths.length} files of the machine's /usr, ${MACHINE_BYTES.min} to ${MACHINE_BYTES.max} bytes each; ${bench.described}`,
    beside: async (own) => [plyboxUser(own)],
    sampling: bench.sampling,
    measure: async (one) => meanMs(await one.run(["files", String(PASSES)], `${paths.join("\n")}\n`)),
  });
}

/** Arithmetic that makes no system call: what it takes by the clock, and in the notes by the processor. */
export async function compute(bench: Workbench): Promise<Benchmark> {
  const { computeMs, runs } = bench.options;
  const sampling = { runs: Math.ceil(runs / FEWER), turn: 1, warmups: 1, signal: bench.signal };
  const processor = new Map<string, number[]>();
  let rounds: string | undefined;
  const benchmark = await compare(bench, {
    name: "compute",
    method: `arithmetic of ${computeMs} ms, wall time; ${sampling.runs} runs after a warm-up, one a turn`,
    sampling,
    async prepare(unconfined) {
      rounds = await roundsFor(unconfined, computeMs);
    },
    async measure(one) {
      const [wall = Number.NaN, cpu = Number.NaN] = figures(await one.run(["compute", rounds ?? "1"]));
      processor.set(one.name, [...(processor.get(one.name) ?? []), cpu / NS_PER_MS]);
      return wall / NS_PER_MS;
    },
  });
  const unconfined = summarize(processor.get(UNCONFINED) ?? [Number.NaN]).p50;
  const notes = [...processor].map(([name, samples]) => {
    const { p50 } = summarize(samples);
    return `${name}: ${figure(p50)} ms of processor time, ${(p50 / unconfined).toFixed(3)} × unconfined`;
  });
  return { ...benchmark, notes: [...benchmark.notes, ...notes] };
}

interface Comparison {
  readonly name: BenchmarkName;
  readonly method: string;
  /** What else explains ours, right after `unconfined`. */
  readonly beside?: (own: OwnConfinement, program: string) => Promise<readonly (Confinement | Unavailable)[]>;
  readonly sampling: Sampling;
  /** With the program as it is, before anything is measured. */
  readonly prepare?: (unconfined: Confinement) => Promise<void>;
  /** Milliseconds of one sample, by the program's own clock. */
  readonly measure: (one: Confinement) => Promise<number>;
}

async function compare(bench: Workbench, comparison: Comparison): Promise<Benchmark> {
  const { name, method, sampling, measure } = comparison;
  const { program } = await bench.workload();
  await using own = await plybox(bench);
  const references: (Confinement | Unavailable)[] = await others(bench, program);
  references.splice(1, 0, ...((await comparison.beside?.(own, program)) ?? []));
  const usable = references.filter(isUsable);
  const [unconfined] = usable;
  if (unconfined?.name !== UNCONFINED) throw new Error("the workload does not run on this machine");
  await comparison.prepare?.(unconfined);
  const all: readonly Confinement[] = [own, ...usable];
  const contenders = all.map((one) => ({ name: one.name, every: one.every, sample: () => measure(one) }));
  const measured = new Map((await interleave(contenders, sampling)).map((one) => [one.name, one]));
  const found = (wanted: string): Measured => measured.get(wanted) ?? { name: wanted, samples: [] };
  return {
    name,
    unit: "ms",
    method,
    ours: found(own.name).samples,
    references: references.map((one): Measured | Unavailable => ("reason" in one ? one : found(one.name))),
    notes: budgetNote(name, found(own.name), found(UNCONFINED)),
  };
}

function budgetNote(name: BenchmarkName, ours: Measured, unconfined: Measured): string[] {
  const ratio = summarize(ours.samples).p50 / summarize(unconfined.samples).p50;
  const budget = BUDGETS[name];
  return budget === undefined ? [] : [`plybox is ${ratio.toFixed(3)} × unconfined; the budget is ${budget} ×`];
}

const figures = (line: string): number[] => line.trim().split(" ").map(Number);

function meanMs(line: string): number {
  const passes = figures(line);
  return passes.reduce((sum, ns) => sum + ns, 0) / passes.length / NS_PER_MS;
}

/** How many rounds take so long here: tried with ever more until the clock tells them well. */
async function roundsFor(unconfined: Confinement, ms: number): Promise<string> {
  const enough = Math.min(ms, 200);
  for (let rounds = 1000; ; rounds *= 2) {
    const [wall = Number.NaN] = figures(await unconfined.run(["compute", String(rounds)]));
    const took = wall / NS_PER_MS;
    if (took >= enough) return String(Math.ceil((rounds * ms) / took));
  }
}

/** The first of /usr in the order of their paths, which is the same in every run. */
async function machineFiles(): Promise<string[]> {
  const found: string[] = [];
  for (const directory of ["/usr/include", "/usr/share", "/usr/lib"]) await collect(directory, found);
  return found;
}

async function collect(directory: string, found: string[]): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (found.length === FILES) return;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await collect(path, found);
    else if (entry.isFile()) {
      const { size, mode } = await stat(path);
      if (size >= MACHINE_BYTES.min && size <= MACHINE_BYTES.max && (mode & 0o004) !== 0) found.push(path);
    }
  }
}
