import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { MetricsSources } from "./metrics.ts";
import { processGauges } from "./process-gauges.ts";
import { sandboxGauges } from "./sandbox-gauges.ts";

export type PromClient = typeof import("prom-client");

/** What is counted as it happens. */
export interface Instruments {
  readonly registry: Registry;
  readonly requests: Counter<"operation" | "method" | "status">;
  readonly requestSeconds: Histogram<"operation">;
  readonly createSeconds: Histogram;
  readonly destroySeconds: Histogram;
  readonly execs: Counter<"result" | "limit">;
  readonly execSeconds: Histogram;
  readonly outputBytes: Counter<"stream">;
  readonly events: Counter<"type">;
  readonly webhookAttempts: Counter<"result">;
}

/** From a command that only prints to one that runs for an hour. */
const EXEC_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 3600];
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

/** Makes every metric, in a registry of its own. */
export function createInstruments(prom: PromClient, sources: MetricsSources): Instruments {
  const registry = new prom.Registry();
  const registers = [registry];
  const histogram = <L extends string = never>(name: string, help: string, labelNames: L[] = []) =>
    new prom.Histogram<L>({ name, help, labelNames, buckets: REQUEST_BUCKETS, registers });
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new prom.Counter<L>({ name, help, labelNames, registers });

  const build = new prom.Gauge({ name: "plybox_build_info", help: "1.", labelNames: ["version"], registers });
  build.set({ version: sources.version }, 1);
  gauges(prom, registry, sources);
  processGauges(prom, registry);
  if (sources.usage !== undefined) sandboxGauges(prom, registry, sources.usage);
  return {
    registry,
    requests: counter("plybox_api_requests_total", "Requests answered.", ["operation", "method", "status"]),
    requestSeconds: histogram(
      "plybox_api_request_duration_seconds",
      "Until the answer; of a stream, until it begins.",
      ["operation"],
    ),
    createSeconds: histogram("plybox_sandbox_create_duration_seconds", "Until a new sandbox takes commands."),
    destroySeconds: histogram("plybox_sandbox_destroy_duration_seconds", "Until nothing of a sandbox is left."),
    execs: counter("plybox_execs_total", "Commands that ended.", ["result", "limit"]),
    execSeconds: new prom.Histogram({
      ...{ name: "plybox_exec_duration_seconds", help: "How long commands ran.", buckets: EXEC_BUCKETS, registers },
    }),
    outputBytes: counter("plybox_exec_output_bytes_total", "Bytes that commands that ended wrote.", ["stream"]),
    events: counter("plybox_events_total", "Events of sandboxes.", ["type"]),
    webhookAttempts: counter("plybox_webhook_attempts_total", "Messages sent to receivers.", ["result"]),
  };
}

/** What is looked at only when somebody asks. */
function gauges(prom: PromClient, registry: Registry, sources: MetricsSources): void {
  const registers = [registry];
  new prom.Gauge({
    ...{ name: "plybox_sandboxes", help: "Sandboxes by state.", labelNames: ["state"], registers },
    collect() {
      countInto(this, "state", sources.sandboxStates());
    },
  });
  new prom.Gauge({
    ...{ name: "plybox_webhooks", help: "Receivers of events by state.", labelNames: ["state"], registers },
    collect() {
      countInto(this, "state", sources.webhookStates());
    },
  });
  new prom.Counter({
    ...{ name: "plybox_launcher_restarts_total", help: "Times that the launcher had to be started anew.", registers },
    collect() {
      this.reset();
      this.inc(sources.launcherRestarts());
    },
  });
}

/** One series for each word, with how often it comes; words that came before and do not now are gone. */
function countInto<L extends string>(gauge: Gauge<L>, label: L, words: readonly string[]): void {
  gauge.reset();
  for (const word of words) gauge.inc({ [label]: word } as Partial<Record<L, string>>);
}
