/** `npm run bench`; bench/README.md says how to read what it prints. */
import { writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { inspect } from "node:util";
import type { Benchmark, BenchmarkName } from "./benchmark.ts";
import type { Options } from "./options.ts";
import { parseOptions, USAGE } from "./options.ts";
import { formatBenchmark, toRow } from "./report.ts";
import { agentAck, agentRss, agentSize } from "./suites/agent.ts";
import { burst } from "./suites/burst.ts";
import { fileRead, fileWrite, tarSmallFiles } from "./suites/files.ts";
import { helloMemory } from "./suites/hello-memory.ts";
import { idleMemory } from "./suites/idle-memory.ts";
import { compute, fileReads, machineFileReads } from "./suites/overhead.ts";
import { create, createExecDestroy, exec } from "./suites/sandbox-life.ts";
import { singleExecute } from "./suites/single-execute.ts";
import { Workbench } from "./workbench.ts";

const SUITES = {
  create,
  exec,
  "create-exec-destroy": createExecDestroy,
  "burst-100": burst,
  "agent-size": agentSize,
  "agent-rss": agentRss,
  "agent-ack": agentAck,
  "single-execute": singleExecute,
  "idle-sandbox-memory": idleMemory,
  "file-read": fileRead,
  "file-write": fileWrite,
  "tar-10000": tarSmallFiles,
  "file-reads": fileReads,
  "machine-file-reads": machineFileReads,
  compute,
  "hello-memory": helloMemory,
} as const satisfies Record<BenchmarkName, (bench: Workbench) => Promise<Benchmark>>;

const GIB = 1024 ** 3;

function describeMachine(): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  const memory = (totalmem() / GIB).toFixed(1);
  const load = loadavg()[0]?.toFixed(2);
  return (
    `${availableParallelism()} × ${model}, ${memory} GiB, Linux ${release()}, Node ${process.versions.node}; ` +
    `load ${load} at the start`
  );
}

async function runAll(options: Options, signal: AbortSignal): Promise<Benchmark[]> {
  const found: Benchmark[] = [];
  await using bench = await Workbench.open(options, signal);
  for (const name of options.only) {
    signal.throwIfAborted();
    const benchmark = await SUITES[name](bench);
    console.log(`${formatBenchmark(benchmark)}\n`);
    found.push(benchmark);
  }
  return found;
}

class Interrupted extends Error {}

/** Ctrl-C ends the run after the sample that is being taken; what was started is then ended and removed. */
function interruptSignal(): AbortSignal {
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (!abort.signal.aborted) console.error(`\n${name}: ending what was started`);
      abort.abort(new Interrupted(`ended by ${name}`));
    });
  }
  return abort.signal;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    console.log(USAGE);
    return;
  }
  console.log(`${describeMachine()}\n`);
  const found = await runAll(options, interruptSignal());
  if (options.json === undefined) return;
  await writeFile(options.json, `${JSON.stringify(found.map(toRow), null, 2)}\n`);
  console.log(`written to ${options.json}`);
}

try {
  await main();
} catch (error) {
  // With its causes: what failed, and what could not be cleared up after it.
  console.error(error instanceof Interrupted ? error.message : inspect(error));
  process.exitCode = error instanceof Interrupted ? 130 : 1;
}
