import type { SandboxView } from "../../src/api/contract.ts";
import type { Benchmark, Measured, Unavailable } from "../benchmark.ts";
import { parseResult, parseSandbox } from "../daemon.ts";
import { HttpClient, jsonBytes } from "../http-client.ts";
import type { Contender } from "../interleave.ts";
import { interleave } from "../interleave.ts";
import { ociExec, ociRun } from "../oci-references.ts";
import type { References } from "../references.ts";
import { BUBBLEWRAP, bare, bubblewrap, contender, FLOOR, floor, isAvailable, tried, unshare } from "../references.ts";
import { figure } from "../report.ts";
import { summarize } from "../statistics.ts";
import { stepTable } from "../step-times.ts";
import type { Workbench } from "../workbench.ts";

const TRUE = ["/bin/true"];
const EXEC_TRUE = jsonBytes({ command: TRUE });
/** Node compiles a daemon's code better and better during its first thousands of requests. */
const SERVED = 3000;
const SERVED_FIRST = 500;
/** The same sandbox without a filter: what the default profile costs. */
const UNFILTERED = { name: "plybox, seccomp unconfined", seccomp: "unconfined" } as const;

/** From POST /v1/sandboxes until the answer, which is given when the agent answers. */
export async function create(bench: Workbench): Promise<Benchmark> {
  const { layers } = await bench.root();
  const daemon = await bench.daemon();
  using client = new HttpClient(daemon.socketPath);
  const creating = (name: string, body: Buffer): Contender => ({
    name,
    async sample() {
      const { body: answer, ms } = await client.send("POST", "/v1/sandboxes", body);
      await client.send("DELETE", path(parseSandbox(answer)));
      return ms;
    },
  });
  const ours = creating("plybox", jsonBytes({ layers }));
  const references = await allReferences(bench, FLOOR);
  const entered = references.filter(isAvailable).filter(({ name }) => name === FLOOR);
  const measured = await sideBySide(bench, ours, references, [
    ...entered.map((reference) => contender(reference, "exec")),
    creating(UNFILTERED.name, jsonBytes({ layers, seccomp: UNFILTERED.seccomp })),
    roundTrip(client),
  ]);
  return {
    name: "create",
    unit: "ms",
    method: `POST /v1/sandboxes until the answer, on one connection; ${bench.described}`,
    ...measured,
    notes: bench.options.steps ? stepTable(await daemon.log()) : [],
  };
}

/** From POST …/exec of /bin/true in a sandbox that lives until the collected answer. */
export async function exec(bench: Workbench): Promise<Benchmark> {
  const root = await bench.root();
  const { layers } = root;
  using client = new HttpClient((await bench.daemon()).socketPath);
  const make = async (spec: object): Promise<SandboxView> =>
    parseSandbox((await client.send("POST", "/v1/sandboxes", jsonBytes(spec))).body);
  const sandbox = await make({ layers });
  const unfiltered = await make({ layers, seccomp: UNFILTERED.seccomp });
  const ours: Contender = { name: "plybox", sample: () => execTrue(client, sandbox) };
  const vfork = bare(bench, root, TRUE);
  const [program, trip] = [contender(vfork), roundTrip(client)];
  const references = await tried([vfork, ...(await ociExec(bench, root, TRUE))]);
  const first = await untilServed(bench, () => execTrue(client, sandbox));
  const measured = await sideBySide(bench, ours, references, [
    trip,
    { name: "a round trip, then vfork + exec", sample: async () => (await trip.sample()) + (await program.sample()) },
    { name: UNFILTERED.name, sample: () => execTrue(client, unfiltered) },
  ]);
  for (const one of [sandbox, unfiltered]) await client.send("DELETE", path(one));
  return {
    name: "exec",
    unit: "ms",
    method: `POST …/exec of /bin/true in a warm sandbox until the collected answer; ${bench.described}`,
    ...measured,
    notes: [`the first ${first.length} of ${SERVED} commands before: p50 ${figure(summarize(first).p50)} ms`],
  };
}

/** Asks until the daemon is one that has served, and answers what its first requests took. */
async function untilServed(bench: Workbench, ask: () => Promise<number>): Promise<number[]> {
  const taken: number[] = [];
  while (taken.length < SERVED) {
    bench.signal.throwIfAborted();
    taken.push(await ask());
  }
  return taken.slice(0, SERVED_FIRST);
}

/** The three requests of a sandbox that lives for one command. */
export async function createExecDestroy(bench: Workbench): Promise<Benchmark> {
  const { layers } = await bench.root();
  using client = new HttpClient((await bench.daemon()).socketPath);
  const body = jsonBytes({ layers });
  const parts = { create: [] as number[], exec: [] as number[], destroy: [] as number[] };
  const ours: Contender = {
    name: "plybox",
    async sample() {
      const began = performance.now();
      const created = await client.send("POST", "/v1/sandboxes", body);
      const sandbox = parseSandbox(created.body);
      parts.create.push(created.ms);
      parts.exec.push(await execTrue(client, sandbox));
      parts.destroy.push((await client.send("DELETE", path(sandbox))).ms);
      return performance.now() - began;
    },
  };
  return {
    name: "create-exec-destroy",
    unit: "ms",
    method: `create, exec of /bin/true, DELETE, on one connection; ${bench.described}`,
    ...(await sideBySide(bench, ours, await allReferences(bench, BUBBLEWRAP), [])),
    notes: Object.entries(parts).map(([name, samples]) => `${name}: p50 ${figure(summarize(samples).p50)} ms`),
  };
}

const path = ({ id }: SandboxView): string => `/v1/sandboxes/${id}`;

async function execTrue(client: HttpClient, sandbox: SandboxView): Promise<number> {
  const { body, ms } = await client.send("POST", `${path(sandbox)}/exec`, EXEC_TRUE);
  const { exitCode, stderr } = parseResult(body);
  if (exitCode !== 0) throw new Error(`/bin/true ended with ${exitCode}: ${stderr}`);
  return ms;
}

/** What the client and the daemon's HTTP cost without anything behind it. */
const roundTrip = (client: HttpClient): Contender => ({
  name: "GET /v1/health",
  sample: async () => (await client.send("GET", "/v1/health")).ms,
});

/** Every way to run /bin/true once in something like a sandbox, `main` first. */
async function allReferences(bench: Workbench, main: string): Promise<References> {
  const root = await bench.root();
  const references = await tried([
    await floor(bench, root, TRUE),
    bare(bench, root, TRUE),
    unshare(bench, root, TRUE),
    bubblewrap(bench, root, TRUE),
    ...(await ociRun(bench, root, TRUE)),
  ]);
  return [...references].sort((a, b) => Number(b.name === main) - Number(a.name === main));
}

/** Ours, the references and further figures, measured in the same rounds. */
async function sideBySide(
  bench: Workbench,
  ours: Contender,
  references: References,
  further: readonly Contender[],
): Promise<Pick<Benchmark, "ours" | "references">> {
  const contenders = [ours, ...references.filter(isAvailable).map((reference) => contender(reference)), ...further];
  const measured = new Map((await interleave(contenders, bench.sampling)).map((one) => [one.name, one]));
  const found = (name: string): Measured => measured.get(name) ?? { name, samples: [] };
  return {
    ours: found(ours.name).samples,
    references: [...references, ...further].map((one): Measured | Unavailable =>
      "reason" in one ? one : found(one.name),
    ),
  };
}
