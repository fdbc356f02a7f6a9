import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Plybox, Sandbox } from "../../src/client/index.ts";
import { readCharged, readSteadyMemory } from "../machine.ts";
import type { Figure, Suite } from "./figure.ts";
import { serve } from "./served.ts";

const KIB = 1024;
const MIB = 1024 ** 2;
const SANDBOXES = 20;
const FILES = 100;
const LAYER_BYTES = FILES * MIB;
const LAYER = "100-shared";
const NAME = `sharing-${SANDBOXES}`;

/** What sandboxes that read all of one layer take of the machine's memory, in multiples of what they read. */
export const SHARING: Suite = {
  names: [NAME, `${NAME}-cached`, `${NAME}-available`],
  async run(work, _rounds, signal) {
    await using served = await serve(work);
    const { client } = served;
    await buildLayer(client, join(work, "tree"));
    const sandboxes: Sandbox[] = [];
    for (let i = 0; i < SANDBOXES; i++) sandboxes.push(await client.create({ layers: ["busybox", LAYER] }));
    const [first, ...others] = sandboxes as [Sandbox, ...Sandbox[]];
    const idle = await taken(sandboxes, signal);
    await readAll(first);
    const once = await taken(sandboxes, signal);
    for (const sandbox of others) await readAll(sandbox);
    return figuresOf(idle, once, await taken(sandboxes, signal));
  },
};

/** Files of which nothing can be compressed, and nothing is the same as anything else. */
async function buildLayer(client: Plybox, tree: string): Promise<void> {
  mkdirSync(join(tree, "shared"), { recursive: true });
  for (let i = 0; i < FILES; i++) writeFileSync(join(tree, "shared", `${i}`), randomBytes(MIB));
  const tar = spawn("tar", ["-C", tree, "-c", "shared"], { stdio: ["ignore", "pipe", "inherit"] });
  await client.layers.build(LAYER, tar.stdout);
}

async function readAll(sandbox: Sandbox): Promise<void> {
  const { stdout } = await sandbox.exec("cat /shared/* | wc -c");
  if (Number(stdout) !== LAYER_BYTES) throw new Error(`${stdout.trim()} bytes of ${LAYER_BYTES} were read`);
}

/** KiB, by where it is counted. */
interface Taken {
  /** To the memory cgroups of all sandboxes: pages of files count for who reads them first. */
  readonly charged: number;
  /** By the machine, with whatever else runs on it. */
  readonly cached: number;
  readonly available: number;
}

async function taken(sandboxes: readonly Sandbox[], signal: AbortSignal): Promise<Taken> {
  const memory = await readSteadyMemory(signal);
  let charged = 0;
  for (const sandbox of sandboxes) {
    const { state } = await sandbox.inspect();
    const own = state.kind === "running" ? readCharged(state.pid) : undefined;
    if (own === undefined) throw new Error(`${sandbox.id} has no memory cgroup`);
    charged += own;
  }
  return { charged, cached: memory.get("Cached") ?? 0, available: memory.get("MemAvailable") ?? 0 };
}

function figuresOf(idle: Taken, once: Taken, all: Taken): readonly Figure[] {
  const copies = (kib: number): number => (kib * KIB) / LAYER_BYTES;
  const told = (name: string, [first, more]: readonly [number, number], where: string): Figure => ({
    ...{ name, value: copies(more), unit: "×" },
    detail: `of ${LAYER_BYTES / MIB} MiB, ${where}, what ${SANDBOXES - 1} more readers took; the first took ${copies(first).toFixed(2)}`,
  });
  const charged = [once.charged - idle.charged, all.charged - once.charged] as const;
  const cached = [once.cached - idle.cached, all.cached - once.cached] as const;
  const available = [idle.available - once.available, once.available - all.available] as const;
  return [
    { ...told(NAME, charged, "charged to the sandboxes"), bound: { is: "at most", value: 1 } },
    told(`${NAME}-cached`, cached, "in the machine's page cache"),
    told(`${NAME}-available`, available, "of MemAvailable, which counts most of the page cache as there to be had"),
  ];
}
