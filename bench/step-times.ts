import type { SandboxView } from "../src/api/contract.ts";
import type { LaunchStep } from "../src/model/launch-plan.ts";
import { figure } from "./report.ts";
import { summarize } from "./statistics.ts";

/** Where the time of a create goes, as the daemon says when it is asked. */
export class StepTimes {
  static readonly HEADERS = { "plybox-timings": "1" };

  readonly #us = new Map<string, number[]>();

  add(sandbox: SandboxView & { readonly timings?: readonly LaunchStep[] }): void {
    for (const { name, us } of sandbox.timings ?? []) {
      const samples = this.#us.get(name) ?? [];
      samples.push(us);
      this.#us.set(name, samples);
    }
  }

  /** A line a step, in the order in which they are taken. */
  table(): string[] {
    if (this.#us.size === 0) return ["the daemon reports no steps"];
    const width = Math.max(...[...this.#us.keys()].map((name) => name.length));
    return [...this.#us].map(([name, samples]) => {
      const { p50, p90, p99 } = summarize(samples);
      const columns = [p50, p90, p99].map((us) => figure(us).padStart(8)).join("");
      return `${name.padEnd(width)}${columns} µs (p50, p90, p99)`;
    });
  }
}
