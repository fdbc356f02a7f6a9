/** `npm run bench`; bench/README.md says how to read what it prints. */
import { writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import type { Benchmark, BenchmarkName } from "./benchmark.ts";
import { runInterruptible } from "./interruptible.ts";
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

await runInterruptible(async (signal) => {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    console.log(USAGE);
    return;
  }
  console.log(`${describeMachine()}\n`);
  const found = await runAll(options, signal);
  if (options.json === undefined) return;
  await writeFile(options.json, `${JSON.stringify(found.map(toRow), null, 2)}\n`);
  console.log(`written to ${options.json}`);
});
