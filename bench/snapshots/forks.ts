import { statfsSync } from "node:fs";
import { join } from "node:path";
import type { Plybox, Sandbox } from "../../src/client/index.ts";
import { summarize } from "../statistics.ts";
import type { Figure, Suite } from "./figure.ts";
import { serve } from "./served.ts";

const MIB = 1024 ** 2;
const SPEC = {
  layers: ["busybox"],
  limits: { memoryBytes: 2048 * MIB },
  upper: { kind: "tmpfs", bytes: 4096 * MIB, snapshots: true },
} as const;
const SIZES = { "fork-1mb": 1, "fork-100mb": 100, "fork-1gb": 1024 } as const;
/** Forks and commands that are timed for each round of the others. */
const EACH_ROUND = 10;
/** Forks and commands that come first and are not counted, as in the other benchmarks: of a daemon that is in use. */
const WARM_UPS = 200;
const SHARERS = 100;
const MOST_FORK_MS = 10;

/** Forks and checkpoints of sandboxes of a built daemon, by the time that a client sees. */
export const FORKS: Suite = {
  names: [...Object.keys(SIZES), "fork-spread", "fork-live-100mb", "fork-sharing", "checkpoint-per-exec"],
  async run(work, rounds, signal) {
    await using served = await serve(work);
    const { client, runDirectory } = served;
    const count = rounds * EACH_ROUND;
    const figures: Figure[] = [];
    await warmUp(client);
    for (const [name, mib] of Object.entries(SIZES)) {
      signal.throwIfAborted();
      await using parent = await filled(client, mib);
      const times = await forkTimes(parent, count);
      const create = summarize(await createTimes(client, count)).p50.toFixed(1);
      figures.push(forkFigure(name, times, `${mib} MiB, at rest; a create without snapshots takes ${create}`));
      if (name !== "fork-100mb") continue;
      figures.push(await sharing(parent, mib, join(runDirectory, "pools/memory-image")));
      figures.push(forkFigure("fork-live-100mb", await liveTimes(parent, count), `${mib} MiB, while a command writes`));
    }
    figures.push(spread(figures), await perExec(client, count));
    return figures;
  },
};

async function warmUp(client: Plybox): Promise<void> {
  await using parent = await client.create(SPEC);
  await forkTimes(parent, WARM_UPS);
  await createTimes(client, WARM_UPS);
}

/** A sandbox that has written so much, in files of a MiB that nothing compresses. */
async function filled(client: Plybox, mib: number): Promise<Sandbox> {
  const sandbox = await client.create(SPEC);
  const { exitCode, stderr } = await sandbox.exec(
    `mkdir /filled; i=0; while [ $i -lt ${mib} ]; do dd if=/dev/urandom of=/filled/$i bs=1M count=1 2>&- || exit; i=$((i+1)); done`,
  );
  if (exitCode !== 0) throw new Error(`the sandbox could not be filled: ${stderr}`);
  return sandbox;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function forkTimes(parent: Sandbox, count: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    let forks: readonly Sandbox[] = [];
    times.push(
      await timed(async () => {
        ({ sandboxes: forks } = await parent.fork());
      }),
    );
    await Promise.all(forks.map((fork) => fork.remove()));
  }
  return times;
}

/** What a sandbox takes that begins with nothing, as a fork's floor. */
async function createTimes(client: Plybox, count: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    let made: Sandbox | undefined;
    times.push(
      await timed(async () => {
        made = await client.create({ layers: ["busybox"] });
      }),
    );
    await made?.remove();
  }
  return times;
}

/** Forks of a sandbox in which a command writes without end, over what it wrote. */
async function liveTimes(parent: Sandbox, count: number): Promise<readonly number[]> {
  const line = "while :; do dd if=/dev/zero of=/filled/live bs=64K count=160 conv=notrunc 2>&-; done";
  const writer = await parent.detach(line);
  const times = await forkTimes(parent, count);
  await parent.killExec(writer.exec, "SIGKILL");
  return times;
}

function forkFigure(name: string, times: readonly number[], what: string): Figure {
  const { p50, p99 } = summarize(times);
  const [first = 0] = times;
  const detail = `p50 of ${times.length} forks to their agents' answer, p99 ${p99.toFixed(1)}, the first ${first.toFixed(1)}; ${what}`;
  return { name, value: p50, unit: "ms", detail, bound: { is: "at most", value: MOST_FORK_MS } };
}

/** The dearest of the forks at rest by the cheapest. */
function spread(figures: readonly Figure[]): Figure {
  const times = figures.filter(({ name }) => Object.hasOwn(SIZES, name)).map(({ value }) => value);
  return {
    ...{ name: "fork-spread", value: Math.max(...times) / Math.min(...times), unit: "×" },
    detail: "the slowest of the three sizes by the fastest",
    bound: { is: "at most", value: 2 },
  };
}

/** What many forks take of the memory that the pool lies in, beside what their parent wrote. */
async function sharing(parent: Sandbox, mib: number, image: string): Promise<Figure> {
  const used = (): number => {
    const { bsize, blocks, bfree } = statfsSync(image);
    return (bsize * (blocks - bfree)) / MIB;
  };
  const before = used();
  let forks: readonly Sandbox[] = [];
  const ms = await timed(async () => {
    ({ sandboxes: forks } = await parent.fork({ count: SHARERS }));
  });
  const grown = used() - before;
  await Promise.all(forks.map((fork) => fork.remove()));
  const detail = `more of memory for ${SHARERS} forks of ${mib} MiB, which took ${before.toFixed(0)}; all ran after ${ms.toFixed(0)} ms`;
  return { name: "fork-sharing", value: grown, unit: "MiB", detail, bound: { is: "at most", value: mib } };
}

/** What a checkpoint adds to a command: both kinds of sandboxes in turns. */
async function perExec(client: Plybox, count: number): Promise<Figure> {
  await using plain = await client.create(SPEC);
  await using kept = await client.create({ ...SPEC, checkpoint: "per-exec" });
  const times = { plain: [] as number[], kept: [] as number[] };
  for (let i = -WARM_UPS; i < count; i++) {
    for (const [name, sandbox] of Object.entries({ plain, kept })) {
      const ms = await timed(() => sandbox.exec(`echo ${i} > /file`));
      if (i >= 0) times[name as keyof typeof times].push(ms);
    }
  }
  const [without, with_] = [summarize(times.plain).p50, summarize(times.kept).p50];
  const detail = `p50 of a command with a checkpoint before it, ${with_.toFixed(2)}, less one without, ${without.toFixed(2)}`;
  const bound = { is: "at most", value: 3 } as const;
  return { name: "checkpoint-per-exec", value: with_ - without, unit: "ms", detail, bound };
}
