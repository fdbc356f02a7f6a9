/** `npm run soak`: the same work for a long time, after which nothing may have grown and nothing may be left. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { UndoStack } from "../../src/base/undo-stack.ts";
import { Plybox } from "../../src/client/index.ts";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import { begunOf } from "../../test/support/begun.ts";
import { cgroupsWith, mountsWith, processesWith } from "../../test/support/traces.ts";
import { Daemon } from "../daemon.ts";
import { runInterruptible } from "../interruptible.ts";
import { childrenOf } from "../machine.ts";
import { growthOf } from "./growth.ts";
import { COMMANDS, FILE_OPERATIONS, FILES, TERMINALS } from "./kinds.ts";
import { descriptorsOf, Watch } from "./watch.ts";
import type { Work } from "./work.ts";
import { doAll } from "./work.ts";

const USAGE = `npm run soak [-- options]
  --sandboxes N   sandboxes that live at once (50)
  --commands N    commands in all (40000)
  --terminals N   terminals in all (4000)
  --files N       file operations in all (10000)`;

/** Memory that a process may take while the same work goes on: what its allocator does not give back. */
const FLAT = 0.1;
const LOOK_EVERY_MS = 100;

interface Options {
  readonly sandboxes: number;
  readonly works: readonly Work[];
}

function parseOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const options = { sandboxes: text, commands: text, terminals: text, files: text };
  const { values } = parseArgs({ args: [...args], options });
  const count = (name: keyof typeof options, standard: number): number => {
    const number = Number(values[name] ?? standard);
    if (Number.isInteger(number) && number > 0) return number;
    throw new Error(`--${name} is a whole number from 1\n${USAGE}`);
  };
  return {
    sandboxes: count("sandboxes", 50),
    works: [
      { ...COMMANDS, times: count("commands", 40_000) },
      { ...TERMINALS, times: count("terminals", 4000) },
      { ...FILES, times: Math.ceil(count("files", 10_000) / FILE_OPERATIONS) },
    ],
  };
}

/** What the daemon and its launcher hold open, as one line that can be compared. */
const openIn = (pid: number): string => [pid, ...childrenOf(pid)].map(descriptorsOf).join(" + ");

async function soak({ sandboxes: count, works }: Options, signal: AbortSignal): Promise<readonly string[]> {
  await using undo = new UndoStack();
  const directory = await mkdtemp(join(tmpdir(), "plybox-soak-"));
  undo.push("remove the directory", () => rm(directory, { recursive: true, force: true }));
  const runDirectory = join(directory, "run");
  const daemon = new Daemon({ directory, runDirectory, logLevel: "warn" });
  undo.push("end the daemon and what it made", () => daemon[Symbol.asyncDispose]());
  await daemon.start();
  const plybox = new Plybox({ socketPath: daemon.socketPath });
  undo.push("close the client", () => plybox.close());

  // What the sandbox that is begun ahead holds is no growth: it is taken back where nobody asks for one.
  await until(() => begunOf(runDirectory) !== undefined, signal);
  await until(() => begunOf(runDirectory) === undefined, signal);
  const before = openIn(daemon.pid);
  const sandboxes = await Promise.all(
    Array.from({ length: count }, (_, i) => plybox.create({ name: `soak-${i}`, layers: ["host"] })),
  );
  const total = works.reduce((sum, { times }) => sum + times, 0);
  // Once to fill caches and pools and to grow the heap to its size, once to be watched.
  await doAll(works, sandboxes, { signal, onDone: () => {} });
  console.log("warmed up with all of the work; now once more, watched");
  let done = 0;
  const started = performance.now();
  using watch = new Watch(daemon.pid, () => done / total);
  await doAll(works, sandboxes, {
    signal,
    onDone: () => {
      done += 1;
    },
  });
  const seconds = (performance.now() - started) / 1000;
  for (const { name, times } of works) console.log(`${name}: ${times}, every result as it should be`);
  console.log(`in ${seconds.toFixed(1)} s over ${count} sandboxes`);
  const faults = [...grown(watch)];
  const ids = sandboxes.map(({ id }) => id);
  await Promise.all(sandboxes.map((sandbox) => sandbox.remove()));
  plybox.close();
  await until(() => begunOf(runDirectory) === undefined, signal);
  faults.push(...(await leftOpen(daemon.pid, before)), ...leftBehind(runDirectory, ids));
  return faults;
}

function* grown({ readings }: Watch): Generator<string> {
  for (const [name, taken] of Object.entries(readings)) {
    const { earlyKiB, lateKiB, ratio } = growthOf(taken);
    const percent = `${(ratio * 100).toFixed(1)} %`;
    console.log(`${name}: ${earlyKiB} KiB in the first quarter, ${lateKiB} KiB in the last: ${percent}`);
    console.log(`${name}: at most ${Math.max(...taken.map(({ descriptors }) => descriptors))} descriptors`);
    if (ratio > FLAT) yield `the ${name}'s memory grew by ${percent}`;
  }
}

async function until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
  while (!isSo()) await setTimeout(LOOK_EVERY_MS, undefined, { signal });
}

/** Connections that the client has dropped close a moment later: asked again for a while. */
async function leftOpen(pid: number, before: string): Promise<readonly string[]> {
  for (let left = 100; left > 0 && openIn(pid) !== before; left--) {
    await setTimeout(LOOK_EVERY_MS);
  }
  const after = openIn(pid);
  console.log(`descriptors of daemon + launcher: ${before} before, ${after} after`);
  return after === before ? [] : [`${after} descriptors are open where ${before} were`];
}

function leftBehind(runDirectory: string, ids: readonly string[]): readonly string[] {
  const remains = {
    mounts: mountsWith(join(runDirectory, "uppers")),
    cgroups: cgroupsWith(`${cgroupParentOf(runDirectory)}/`),
    agents: ids.flatMap((id) => processesWith(`--sandbox ${id}`)).map(String),
  };
  return Object.entries(remains).flatMap(([what, found]) =>
    found.length === 0 ? [] : [`${what}: ${found.join(", ")}`],
  );
}

await runInterruptible(async (signal) => {
  const faults = await soak(parseOptions(process.argv.slice(2)), signal);
  for (const fault of faults) console.error(`FAULT: ${fault}`);
  console.log(faults.length === 0 ? "flat, and nothing is left" : `${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 1;
});
