import type { Benchmark } from "../benchmark.ts";
import { parseResult, parseSandbox } from "../daemon.ts";
import { HttpClient, jsonBytes } from "../http-client.ts";
import { bubblewrap, floor, isAvailable, tried } from "../references.ts";
import type { Workbench } from "../workbench.ts";

const AT_ONCE = 100;
const ECHO = ["/bin/echo", "ready"];
const EXEC_ECHO = jsonBytes({ command: ECHO });

/** 100 creates at once, each followed by its first command: from the first request until each command's output is here. */
export async function burst(bench: Workbench): Promise<Benchmark> {
  const root = await bench.root();
  using client = new HttpClient((await bench.daemon()).socketPath, AT_ONCE);
  const body = jsonBytes({ layers: root.layers });
  const references = await tried([bubblewrap(bench, root, ECHO), await floor(bench, root, ECHO)]);
  const samples = new Map(references.map(({ name }): [string, number[]] => [name, []]));
  const ours: number[] = [];
  const bursts = Math.ceil(bench.options.runs / AT_ONCE);
  for (let i = -1; i < bursts; i++) {
    bench.signal.throwIfAborted();
    const latencies = await burstOnce(client, body);
    if (i >= 0) ours.push(...latencies);
    for (const { name, driver } of references.filter(isAvailable)) {
      const ended = await driver.burst(AT_ONCE);
      if (i >= 0) samples.get(name)?.push(...ended);
    }
  }
  return {
    name: "burst-100",
    unit: "ms",
    method:
      `${AT_ONCE} at once, each create and exec of echo: from the first request to each output; ` +
      `${bursts} bursts after one as warm-up`,
    ours,
    references: references.map((one) =>
      "reason" in one ? one : { name: one.name, samples: samples.get(one.name) ?? [] },
    ),
    notes: [`all served: ${ours.length} of ${bursts * AT_ONCE} commands printed what they should`],
  };
}

/** @throws the first failure of a sandbox, once all of them have been removed */
async function burstOnce(client: HttpClient, body: Buffer): Promise<number[]> {
  const made: string[] = [];
  const began = performance.now();
  const one = async (): Promise<number> => {
    const { id } = parseSandbox((await client.send("POST", "/v1/sandboxes", body)).body);
    made.push(id);
    const result = parseResult((await client.send("POST", `/v1/sandboxes/${id}/exec`, EXEC_ECHO)).body);
    if (result.stdout !== "ready\n") throw new Error(`echo wrote ${JSON.stringify(result.stdout)}`);
    return performance.now() - began;
  };
  const outcomes = await Promise.allSettled(Array.from({ length: AT_ONCE }, one));
  await Promise.all(made.map((id) => client.send("DELETE", `/v1/sandboxes/${id}`)));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}
