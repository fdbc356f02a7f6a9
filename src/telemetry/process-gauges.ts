import { readdirSync, readFileSync } from "node:fs";
import type { Registry } from "prom-client";
import type { PromClient } from "./instruments.ts";

/**
 * What is known of the daemon's own process, under the usual names. The package's own set would also watch the event
 * loop and the garbage collector all the time, whether or not anybody asks.
 */
export function processGauges(prom: PromClient, registry: Registry): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new prom.Gauge({
      ...{ name, help, registers: [registry] },
      collect() {
        this.set(read());
      },
    });
  };
  new prom.Counter({
    ...{ name: "process_cpu_seconds_total", help: "Processor time of the daemon.", registers: [registry] },
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  gauge("process_resident_memory_bytes", "Resident memory of the daemon.", () => process.memoryUsage.rss());
  gauge("process_start_time_seconds", "When the daemon was started.", () => Date.now() / 1000 - process.uptime());
  gauge("process_open_fds", "Open descriptors of the daemon.", () => readdirSync("/proc/self/fd").length);
  gauge("process_max_fds", "How many it may have.", maxFds);
  gauge("nodejs_heap_size_used_bytes", "Heap in use.", () => process.memoryUsage().heapUsed);
  gauge("nodejs_external_memory_bytes", "Memory outside the heap.", () => process.memoryUsage().external);
}

function maxFds(): number {
  const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
