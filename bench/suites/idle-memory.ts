import type { Benchmark } from "../benchmark.ts";
import type { Daemon } from "../daemon.ts";
import { parseSandbox, removeSandboxes } from "../daemon.ts";
import { HttpClient, jsonBytes } from "../http-client.ts";
import { readCharged, readSteadyMemory } from "../machine.ts";
import { bubblewrap, isAvailable, tried } from "../references.ts";
import { figure } from "../report.ts";
import { average } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const GROUPS = 10;
const CREATORS = 4;
const IDLE = ["/bin/sh", "-c", "echo; exec sleep 2147483647"];
/** Parts of the machine's memory that sandboxes are made of. */
const PARTS = ["AnonPages", "Shmem", "Cached", "SUnreclaim", "SReclaimable", "Percpu", "KernelStack", "PageTables"];

type Memory = ReadonlyMap<string, number>;

/** What making some sandboxes took from the machine, each part in KiB a sandbox. */
class Growth {
  readonly available: number[] = [];
  readonly #parts = new Map<string, number[]>();

  add(before: Memory, after: Memory, sandboxes: number): void {
    const grown = (name: string): number => ((after.get(name) ?? 0) - (before.get(name) ?? 0)) / sandboxes;
    this.available.push(-grown("MemAvailable"));
    for (const part of PARTS) this.#parts.set(part, [...(this.#parts.get(part) ?? []), grown(part)]);
  }

  parts(): string {
    return [...this.#parts].map(([name, samples]) => `${name} ${figure(average(samples))}`).join(", ");
  }
}

/**
 * What the machine has less of, for each idle sandbox that lives: the fall of MemAvailable over groups of sandboxes,
 * groups of ours and of the reference in turn.
 */
export async function idleMemory(bench: Workbench): Promise<Benchmark> {
  const root = await bench.root();
  const daemon = await bench.daemon();
  using client = new HttpClient(daemon.socketPath, CREATORS);
  const body = jsonBytes({ layers: root.layers });
  const [reference] = await tried([bubblewrap(bench, root, ["/bin/true"])]);
  const held = bubblewrap(bench, root, IDLE);
  const groups = Math.min(GROUPS, bench.options.sandboxes);
  const size = Math.ceil(bench.options.sandboxes / groups);
  const pids: number[] = [];
  const [own, other] = [new Growth(), new Growth()];

  await client.send("DELETE", `/v1/sandboxes/${(await createOne(client, body)).id}`);
  const [daemonBefore, first] = [daemon.memory(), await readSteadyMemory(bench.signal)];
  for (let group = 0; group < groups; group++) {
    const before = await readSteadyMemory(bench.signal);
    pids.push(...(await createGroup(client, body, size)));
    const between = await readSteadyMemory(bench.signal);
    own.add(before, between, size);
    if (reference === undefined || !isAvailable(reference) || !isAvailable(held)) continue;
    await held.driver.hold(size);
    other.add(between, await readSteadyMemory(bench.signal), size);
  }
  const notes = describe(daemon, { daemonBefore, pids, own, other });
  if (isAvailable(held)) await held.driver.release();
  await removeSandboxes(client);
  const last = await readSteadyMemory(bench.signal);
  const missing = (first.get("MemAvailable") ?? 0) - (last.get("MemAvailable") ?? 0);
  return {
    name: "idle-sandbox-memory",
    unit: "KiB",
    method: `fall of MemAvailable a sandbox, ${groups} groups of ${size} that all live at once, ours and the reference's in turn`,
    ours: own.available,
    references: [
      reference === undefined || "reason" in reference || other.available.length === 0
        ? {
            name: "bubblewrap … sleep",
            reason: reference !== undefined && "reason" in reference ? reference.reason : "",
          }
        : { name: "bubblewrap … sleep", samples: other.available },
    ],
    notes: [...notes, `after all are removed MemAvailable is ${figure(missing)} KiB below what it was`],
  };
}

interface Found {
  readonly daemonBefore: ReturnType<Daemon["memory"]>;
  readonly pids: readonly number[];
  readonly own: Growth;
  readonly other: Growth;
}

function describe(daemon: Daemon, { daemonBefore, pids, own, other }: Found): string[] {
  const now = daemon.memory();
  const charged = pids.map(readCharged).filter((kib) => kib !== undefined);
  const each = (before: number, after: number) => figure((after - before) / pids.length);
  return [
    `${pids.length} sandboxes live at once; all of the machine counts: ours ${figure(average(own.available))} KiB each on average`,
    `of that, KiB each: ${own.parts()}`,
    charged.length === 0
      ? "no memory cgroup of theirs can be read"
      : `charged to the memory cgroup of each: ${figure(average(charged))} KiB on average`,
    `daemon and launcher: ${daemonBefore.rss} KiB resident before, ${now.rss} after: ${each(daemonBefore.rss, now.rss)} KiB a sandbox (own pages ${each(daemonBefore.own, now.own)})`,
    ...(other.available.length > 0 ? [`bubblewrap, KiB each: ${other.parts()}`] : []),
  ];
}

async function createOne(client: HttpClient, body: Buffer): Promise<{ readonly id: string; readonly pid: number }> {
  const { id, state } = parseSandbox((await client.send("POST", "/v1/sandboxes", body)).body);
  if (state.kind !== "running") throw new Error(`${id} is ${state.kind}`);
  return { id, pid: state.pid };
}

/** Returns the pids of their agents. */
async function createGroup(client: HttpClient, body: Buffer, size: number): Promise<number[]> {
  const made = await Promise.all(Array.from({ length: size }, () => createOne(client, body)));
  return made.map(({ pid }) => pid);
}
