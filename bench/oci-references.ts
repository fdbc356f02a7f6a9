import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Unavailable } from "./benchmark.ts";
import { processEnd } from "./machine.ts";
import { findProgram, notInstalled, runProgram } from "./programs.ts";
import type { Reference, References } from "./references.ts";
import type { Root, Workbench } from "./workbench.ts";

/** Of what takes tens of milliseconds, a tenth of the samples is enough to know it, and more would heat the machine. */
const SLOW_EVERY = 10;

const IDLE = ["/bin/sh", "-c", "echo; exec sleep 2147483647"];

/** crun refuses a machine with cgroups of both versions; for itself alone it sees version 1. */
const HIDE_UNIFIED = 'if mountpoint -q "$0"; then umount "$0"; fi; exec "$@"';

interface OciRuntime {
  readonly name: RuntimeName;
  readonly program: string;
  /** Goes before the command that starts the runtime. */
  readonly prefix: readonly string[];
  /** The runtime's program and the options that every command of it has. */
  readonly command: readonly string[];
  /** How runsc intercepts system calls. */
  readonly platform?: string;
}

/** Programs, each the only one of the Debian package of its name. */
const RUNTIMES = ["crun", "runsc"] as const;
type RuntimeName = (typeof RUNTIMES)[number];

/** `crun run` and `runsc run`: a container for one program. */
export function ociRun(bench: Workbench, root: Root, program: readonly string[]): Promise<References> {
  return eachRuntime(bench, "run", async (runtime) => {
    const bundle = await makeBundle(bench, runtime, root, { args: program });
    return ["run", "--bundle", bundle, containerName("run")];
  });
}

/** `crun exec` and `runsc exec`: a program in a container that lives. */
export function ociExec(bench: Workbench, root: Root, program: readonly string[]): Promise<References> {
  return eachRuntime(bench, "exec", async (runtime) => {
    const container = containerName("exec");
    const { prefix, command } = runtime;
    const bundle = await makeBundle(bench, runtime, root, { args: IDLE });
    const run = [...command, "run", "--bundle", bundle, container];
    const idle = bench.driver((reference) => [...prefix, reference, "spawn", ...run]);
    const [pid = 0] = await idle.hold(1);
    bench.atEnd(`end the container of ${runtime.name}`, async () => {
      const [first = "", ...rest] = [...prefix, ...command, "kill", container, "KILL"];
      await runProgram(first, rest);
      // Removes the container when that has ended, which must not be cut short.
      await processEnd(pid);
    });
    return ["exec", container, ...program];
  });
}

/** How gVisor runs a program of `root`, on which the machine's /usr is mounted; what is written stays in memory. */
export async function runscCommand(
  bench: Workbench,
  root: string,
): Promise<Unavailable | { readonly name: string; command(args: readonly string[]): Promise<readonly string[]> }> {
  const program = findProgram("runsc");
  if (program === undefined) return { name: "runsc", reason: notInstalled("runsc") };
  const runtime = await describe(bench, "runsc", program);
  const usr = { destination: "/usr", type: "bind", source: "/usr", options: ["ro", "rbind"] };
  const own = { destination: "/own", type: "tmpfs", source: "tmpfs" };
  return {
    name: `runsc (${runtime.platform})`,
    async command(args) {
      const bundle = await makeBundle(bench, runtime, { directory: root }, { args, mounts: [usr, own] });
      return [...runtime.command, "run", "--bundle", bundle, containerName("workload")];
    },
  };
}

const containerName = (purpose: string): string => `plybox-bench-${process.pid}-${purpose}`;

/** `prepare` returns the arguments that are measured. */
async function eachRuntime(
  bench: Workbench,
  verb: string,
  prepare: (runtime: OciRuntime) => Promise<readonly string[]>,
): Promise<References> {
  const references: References[number][] = [];
  for (const runtimeName of RUNTIMES) {
    const name = `${runtimeName} ${verb}`;
    const program = findProgram(runtimeName);
    if (program === undefined) references.push({ name, reason: notInstalled(runtimeName) });
    else references.push(await prepared(bench, name, await describe(bench, runtimeName, program), prepare));
  }
  return references;
}

async function prepared(
  bench: Workbench,
  name: string,
  runtime: OciRuntime,
  prepare: (runtime: OciRuntime) => Promise<readonly string[]>,
): Promise<References[number]> {
  try {
    const measured = [...runtime.command, ...(await prepare(runtime))];
    const driver = bench.driver((reference) => [...runtime.prefix, reference, "spawn", ...measured]);
    return { name, driver, every: SLOW_EVERY } satisfies Reference;
  } catch (error) {
    return { name, reason: `fails here: ${(error as Error).message.replaceAll("\n", "; ")}` };
  }
}

async function describe(bench: Workbench, name: RuntimeName, program: string): Promise<OciRuntime> {
  const root = ["--root", join(bench.directory, `${name}-state`)];
  if (name === "crun") {
    const prefix = ["unshare", "--mount", "sh", "-c", HIDE_UNIFIED, "/sys/fs/cgroup/unified"];
    return { name, program, prefix, command: [program, ...root] };
  }
  // The faster platform, where this version has it.
  const platform = (await runProgram(program, ["flags"])).includes("systrap") ? "systrap" : "ptrace";
  const options = [`--platform=${platform}`, "--network=none", "--ignore-cgroups"];
  return { name, program, prefix: [], command: [program, ...root, ...options], platform };
}

interface OciConfig {
  process: { terminal: boolean; args: readonly string[] };
  root: { path: string };
  mounts: readonly OciMount[];
}

interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options?: readonly string[];
}

interface Container {
  readonly args: readonly string[];
  /** Beside the runtime's own. */
  readonly mounts?: readonly OciMount[];
}

/** A directory with the runtime's own default configuration, but for the program, the root and further mounts. */
async function makeBundle(
  bench: Workbench,
  { name, program }: OciRuntime,
  root: Pick<Root, "directory">,
  { args, mounts = [] }: Container,
): Promise<string> {
  const bundle = await bench.makeDirectory(`${name}-bundle`);
  await runProgram(program, ["spec"], bundle);
  const path = join(bundle, "config.json");
  const config = JSON.parse(await readFile(path, "utf8")) as OciConfig;
  config.process.terminal = false;
  config.process.args = args;
  config.root.path = root.directory;
  config.mounts = [...config.mounts, ...mounts];
  await writeFile(path, JSON.stringify(config));
  return bundle;
}
