import type { Registry } from "prom-client";
import type { UsageSample } from "../model/usage.ts";
import type { PromClient } from "./instruments.ts";

interface Figure {
  readonly name: string;
  readonly help: string;
  readonly type: "Gauge" | "Counter";
  readonly of: (usage: UsageSample) => number | null;
}

const FIGURES: readonly Figure[] = [
  {
    ...{ name: "plybox_sandbox_cpu_seconds_total", help: "Processor time since its start.", type: "Counter" },
    of: ({ cpuMs }) => (cpuMs === null ? null : cpuMs / 1000),
  },
  {
    ...{ name: "plybox_sandbox_memory_bytes", help: "What its memory limit bounds.", type: "Gauge" },
    of: ({ memoryBytes }) => memoryBytes,
  },
  {
    ...{ name: "plybox_sandbox_memory_limit_bytes", help: "Its memory limit.", type: "Gauge" },
    of: ({ limits }) => limits.memoryBytes,
  },
  {
    ...{ name: "plybox_sandbox_pids", help: "Its processes and threads.", type: "Gauge" },
    of: ({ pids }) => pids,
  },
  {
    ...{ name: "plybox_sandbox_upper_bytes", help: "What its writable layer holds.", type: "Gauge" },
    of: ({ upperBytes }) => upperBytes,
  },
  {
    ...{ name: "plybox_sandbox_oom_kills_total", help: "Processes killed for want of memory.", type: "Counter" },
    of: ({ oomKills }) => oomKills,
  },
  {
    ...{ name: "plybox_sandbox_network_receive_bytes_total", help: "Received, but for loopback.", type: "Counter" },
    of: ({ network }) => network?.receivedBytes ?? null,
  },
  {
    ...{ name: "plybox_sandbox_network_transmit_bytes_total", help: "Sent, but for loopback.", type: "Counter" },
    of: ({ network }) => network?.sentBytes ?? null,
  },
];

/** A series for each sandbox and figure: as many as there are sandboxes, and more over time. */
export function sandboxGauges(
  prom: PromClient,
  registry: Registry,
  usage: () => Promise<readonly UsageSample[]>,
): void {
  for (const { name, help, type, of } of FIGURES) {
    const options = { name, help, labelNames: ["sandbox", "name"], registers: [registry] };
    new prom[type]({
      ...options,
      // All of them share one reading: the sampler gives those who ask at one time the same.
      async collect() {
        const samples = await usage();
        this.reset();
        for (const sample of samples) {
          const value = of(sample);
          if (value !== null) this.inc({ sandbox: sample.sandbox, name: sample.name ?? "" }, value);
        }
      },
    });
  }
}
