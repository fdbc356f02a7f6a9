import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ExecutionRequest } from "../../src/model/execution.ts";
import { execute } from "../../src/wire/execute.ts";
import type { Benchmark } from "../benchmark.ts";
import type { Contender } from "../interleave.ts";
import { interleave } from "../interleave.ts";
import { childrenOf } from "../machine.ts";
import { TRUE } from "../programs.ts";
import { BARE, contender } from "../references.ts";
import { AGENT } from "../repository.ts";
import type { Workbench } from "../workbench.ts";

const REQUEST: ExecutionRequest = { source: "", sourceName: "source", run: TRUE };
const COMPILED: ExecutionRequest = { ...REQUEST, compile: TRUE };

/** A child that has not been made by then dies at once, for want of its directory for one. */
const READY_MS = 10_000;

/** `plyagent --single` as an ordinary process. */
class SingleAgent {
  readonly #process: ChildProcess;
  readonly #socketPath: string;

  private constructor(directory: string) {
    this.#socketPath = join(directory, "agent.sock");
    const args = ["--single", "--unix", this.#socketPath, "--work-directory", directory];
    this.#process = spawn(AGENT, args, { stdio: ["ignore", "ignore", "inherit"] });
  }

  static async start(bench: Workbench): Promise<SingleAgent> {
    const agent = new SingleAgent(await bench.makeDirectory("single"));
    bench.atEnd("end the one-execution agent", () => agent.#end());
    (await agent.#connect()).destroy();
    return agent;
  }

  /** Milliseconds from the request on a connection that stands until the verdict. */
  async time(request: ExecutionRequest): Promise<number> {
    const socket = await this.#connect();
    const began = performance.now();
    const { result } = await execute(socket, request);
    const ms = performance.now() - began;
    if (result !== "success") throw new Error(`${request.run.join(" ")} ended with ${result}`);
    return ms;
  }

  /** Resolves when the child for the next program waits. */
  async ready(): Promise<void> {
    const began = performance.now();
    while (childrenOf(this.#process.pid as number).length === 0) {
      if (performance.now() - began > READY_MS) throw new Error("no child of the one-execution agent comes to wait");
      await delay(1);
    }
    // It has been forked, and gives its privileges up.
    await delay(1);
  }

  async #connect(): Promise<Socket> {
    for (;;) {
      const socket = connect(this.#socketPath);
      try {
        await once(socket, "connect");
        return socket;
      } catch (error) {
        if (this.#process.exitCode !== null) throw error;
        await delay(1);
      }
    }
  }

  async #end(): Promise<void> {
    if (this.#process.exitCode !== null || !this.#process.kill("SIGTERM")) return;
    await once(this.#process, "exit");
  }
}

/** From a request to the one-execution agent until the verdict. */
export async function singleExecute(bench: Workbench): Promise<Benchmark> {
  const agent = await SingleAgent.start(bench);
  const waited = (request: ExecutionRequest) => async (): Promise<number> => {
    await agent.ready();
    return await agent.time(request);
  };
  const reference = { name: BARE, driver: bench.driver((path) => [path, "spawn", ...TRUE]), every: 1 };
  const contenders: Contender[] = [
    { name: "plybox", sample: waited(REQUEST) },
    contender(reference),
    { name: "right after another", sample: () => agent.time(REQUEST) },
    { name: "with a compile step", sample: waited(COMPILED) },
  ];
  const [ours, ...references] = await interleave(contenders, bench.sampling);
  return {
    name: "single-execute",
    unit: "ms",
    method: `execute of ${TRUE.join(" ")} on a connection that stands, until its verdict; ${bench.described}`,
    ours: ours?.samples ?? [],
    references,
    notes: [],
  };
}
