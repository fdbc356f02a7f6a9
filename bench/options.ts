import { parseArgs } from "node:util";
import type { BenchmarkName } from "./benchmark.ts";
import { BENCHMARKS } from "./benchmark.ts";

export interface Options {
  readonly help: boolean;
  readonly only: readonly BenchmarkName[];
  readonly runs: number;
  /** Samples in a row before it is the next contender's turn. */
  readonly turn: number;
  readonly sandboxes: number;
  /** Of the large file. */
  readonly megabytes: number;
  readonly smallFiles: number;
  /** How long the arithmetic of `compute` takes unconfined. */
  readonly computeMs: number;
  readonly json: string | undefined;
  readonly steps: boolean;
}

export const USAGE = `npm run bench -- [--only NAME[,NAME]]… [--runs N] [--turn N] [--sandboxes N]
                 [--megabytes N] [--small-files N] [--compute-ms N] [--steps] [--json FILE]

  --only NAME    this benchmark alone: ${BENCHMARKS.join(", ")}
  --runs N       samples of what takes milliseconds (default 500); slow references take a tenth
  --turn N       samples in a row before it is the next one's turn (default 10)
  --sandboxes N  idle sandboxes of idle-sandbox-memory (default 200)
  --megabytes N  size of the file of file-read and file-write (default 1024)
  --small-files N
                 files of tar-10000 (default 10000)
  --compute-ms N length of the arithmetic of compute (default 10000)
  --steps        with create: a table of the launcher's steps, from the daemon's debug log
  --json FILE    write the figures, see bench/README.md`;

/** @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      runs: { type: "string", default: "500" },
      turn: { type: "string", default: "10" },
      sandboxes: { type: "string", default: "200" },
      megabytes: { type: "string", default: "1024" },
      "small-files": { type: "string", default: "10000" },
      "compute-ms": { type: "string", default: "10000" },
      steps: { type: "boolean", default: false },
      json: { type: "string" },
    },
  });
  const only = values.only.flatMap((names) => names.split(",")).map(benchmarkName);
  return {
    help: values.help,
    only: BENCHMARKS.filter((name) => only.length === 0 || only.includes(name)),
    runs: count("--runs", values.runs),
    turn: count("--turn", values.turn),
    sandboxes: count("--sandboxes", values.sandboxes),
    megabytes: count("--megabytes", values.megabytes),
    smallFiles: count("--small-files", values["small-files"]),
    computeMs: count("--compute-ms", values["compute-ms"]),
    json: values.json,
    steps: values.steps,
  };
}

function benchmarkName(text: string): BenchmarkName {
  const name = BENCHMARKS.find((known) => known === text);
  if (name === undefined) throw new Error(`no benchmark ${text}; there are ${BENCHMARKS.join(", ")}`);
  return name;
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!/^[0-9]{1,6}$/.test(text) || value < 1) throw new Error(`${option} takes a number of 1 or more, not ${text}`);
  return value;
}
