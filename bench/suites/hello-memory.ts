import { spawn } from "node:child_process";
import { once } from "node:events";
import { Plybox } from "../../src/client/plybox.ts";
import type { Benchmark, Measured, Unavailable } from "../benchmark.ts";
import type { CommandConfinement, OwnConfinement } from "../confinements.ts";
import { isUsable, others, plybox, UNCONFINED } from "../confinements.ts";
import type { Contender, Sampling } from "../interleave.ts";
import { interleave } from "../interleave.ts";
import type { Held } from "../memory-cgroup.ts";
import { heldWith, MemoryCgroup } from "../memory-cgroup.ts";
import { figure } from "../report.ts";
import { summarize } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const FEWER = 10;

/** What each way to run a program that writes "hello world" had charged to its cgroup at most. */
export async function helloMemory(bench: Workbench): Promise<Benchmark> {
  const { program } = await bench.workload();
  await using own = await plybox(bench);
  const references = await others(bench, program);
  const found = new Map<string, Held[]>();
  const contenders = [
    contender(own.name, found, () => ours(own, bench)),
    ...references.filter(isUsable).map((one) => contender(one.name, found, () => theirs(one, program))),
  ];
  const sampling: Sampling = { runs: Math.ceil(bench.options.runs / FEWER), turn: 1, warmups: 1, signal: bench.signal };
  const measured = await interleave(contenders, sampling);
  const of = (name: string): Measured => measured.find((one) => one.name === name) ?? { name, samples: [] };
  const { rss, own: ownPages } = (await bench.daemon()).memory();
  return {
    name: "hello-memory",
    unit: "KiB",
    method: `peak of the memory cgroup in which a program writes "hello world", with all that confines it; ${sampling.runs} runs after a warm-up, one a turn`,
    ours: of(own.name).samples,
    references: references.map((one): Measured | Unavailable => ("reason" in one ? one : of(one.name))),
    notes: [
      ...[...found].map(([name, held]) => describe(name, held)),
      `not in plybox's: the daemon and its launcher, which all sandboxes share (${rss} KiB resident, ${ownPages} of that its own), and what the launcher makes ahead: a network and a user namespace`,
      `not in ${UNCONFINED}'s: anything but the program`,
    ],
  };
}

function contender(name: string, found: Map<string, Held[]>, measure: () => Promise<Held>): Contender {
  return {
    name,
    async sample() {
      const held = await measure();
      found.set(name, [...(found.get(name) ?? []), held]);
      return held.peakKiB;
    },
  };
}

function describe(name: string, held: readonly Held[]): string {
  const middle = (pick: (one: Held) => number): string => figure(summarize(held.map(pick)).p50);
  return `${name}: ${middle(({ processes }) => processes)} processes when it has written, ${middle(({ pssKiB }) => pssKiB)} KiB of pages by their share (Pss)`;
}

/** A sandbox of its own: its cgroup has what making it took, the agent, the program and the upper. */
async function ours({ sandbox: model, program }: OwnConfinement, bench: Workbench): Promise<Held> {
  const client = new Plybox({ socketPath: (await bench.daemon()).socketPath });
  try {
    await using sandbox = await client.create({ layers: [...model.view.layers] });
    const running = await sandbox.spawn([...program, "hello"], { stdin: true });
    for await (const event of running) if (event.kind === "output") break;
    const { state } = await sandbox.inspect();
    const held = state.kind === "running" ? heldWith(state.pid) : undefined;
    if (held === undefined) throw new Error("the sandbox has no memory cgroup");
    return held;
  } finally {
    client.close();
  }
}

/** A cgroup of its own: it has the runtime, what that starts, and the program. */
async function theirs(one: CommandConfinement, program: string): Promise<Held> {
  await using cgroup = await MemoryCgroup.make(`plybox-bench-${process.pid}`);
  const args = ["within", cgroup.joinFile, ...(await one.command(["hello"]))];
  // Not this process's standard error: Node's pipes are sockets, and runsc shuts those down that it was given.
  const child = spawn(program, args, { cwd: "/", stdio: ["pipe", "pipe", "pipe"] });
  const complaint = child.stderr.toArray();
  const ended = once(child, "close");
  // One that fails writes nothing.
  const failed = ended.then(async ([code, signal]) => {
    throw new Error(`${one.name} ended with ${code ?? signal} before it wrote: ${Buffer.concat(await complaint)}`);
  });
  await Promise.race([once(child.stdout, "data"), failed]);
  const held = cgroup.held();
  child.stdout.resume();
  child.stdin.end();
  await ended;
  return held;
}
