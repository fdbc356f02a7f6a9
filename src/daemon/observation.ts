import type { ApiOptions } from "../api/create-api.ts";
import type { UndoStack } from "../base/undo-stack.ts";
import type { Database } from "../sandbox/database.ts";
import { EventLog } from "../sandbox/events/event-log.ts";
import { upperPath } from "../sandbox/launch-plan.ts";
import type { SandboxLog } from "../sandbox/lifecycle/context.ts";
import { DiskUppers } from "../sandbox/usage/disk-uppers.ts";
import { MemoryKills } from "../sandbox/usage/memory-kills.ts";
import { Pressure } from "../sandbox/usage/pressure.ts";
import { fillings, StoredUppers } from "../sandbox/usage/stored-uppers.ts";
import { UpperRooms } from "../sandbox/usage/upper-rooms.ts";
import { UsageSampler } from "../sandbox/usage/usage-sampler.ts";
import type { DeliveryOptions } from "../sandbox/webhooks/delivery.ts";
import { Webhooks } from "../sandbox/webhooks/webhooks.ts";
import { Metrics } from "../telemetry/metrics.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { Config } from "./config.ts";
import type { Runtime } from "./runtime.ts";
import { VERSION } from "./version.ts";

export interface ObservationOptions {
  readonly config: Config;
  readonly database: Database;
  readonly runtime: Runtime;
  readonly log: SandboxLog;
  /** Tests only: how often it is looked how full storage is. */
  readonly pressureEveryMs?: number | undefined;
  /** Tests only. */
  readonly delivery?: Partial<DeliveryOptions> | undefined;
}

const PRESSURE_EVERY_MS = 5000;
const MACHINE = { sandbox: null, tenant: "", name: null, labels: {} } as const;

/** What the API tells of usage, events and itself. */
export type Observation = Required<
  Pick<ApiOptions, "usage" | "uppers" | "events" | "webhooks" | "metrics" | "observers">
>;

/** Watches over sandboxes and requests: to be opened before anything happens to them. */
export async function openObservation(options: ObservationOptions, undo: UndoStack): Promise<Observation> {
  const { config, database, runtime, log, delivery } = options;
  const { sandboxes, launcher, places } = runtime;
  const disks = new DiskUppers({ pathOf: (sandbox) => upperPath(sandbox, places) });
  undo.push("measure no more uppers", () => disks.close());
  sandboxes.events.listen((event) => {
    if (event.type === "sandbox.state" && event.state.kind === "destroyed") disks.forget(event.sandbox);
  });
  const kills = new MemoryKills({
    countsOwnLimits: places.cgroups.version === 2,
    announce(id) {
      try {
        sandboxes.announce(id, { type: "limit.reached", limit: "memory", exec: null });
      } catch {
        // The sandbox is gone: there is nobody to tell of.
      }
    },
  });
  undo.push("account for no more kills", () => kills.close());
  sandboxes.events.listen((event) => kills.happened(event));
  const uppers = new UpperRooms({ places, disks, pools: runtime.pools });
  const usage = new UsageSampler(sandboxes, uppers, (sample, { createdAt }) => kills.sampled(sample, createdAt));
  const events = new EventLog({ database, log });
  undo.push("write the last events", () => events.close());
  sandboxes.events.listen((event) => events.append(event));
  watchPressure(options, { uppers, events }, undo);

  const metrics = new Metrics({
    version: VERSION,
    sandboxStates: () => sandboxes.list().map(({ state }) => state.kind),
    webhookStates: () => webhooks.list(null).map(({ status }) => status.state),
    launcherRestarts: () => launcher.restarts,
    ...(config.sandboxMetrics && { usage: () => usage.all() }),
  });
  sandboxes.events.listen((event) => metrics.happened(event));
  const tracing = await openTracing(config, log);
  if (tracing !== undefined) {
    undo.push("send the last spans", () => tracing.close());
    sandboxes.events.listen((event) => tracing.happened(event));
  }

  const webhooks = new Webhooks({
    ...{ database, events, log, onAttempt: (attempt) => metrics.webhookAttempted(attempt) },
    ...delivery,
  });
  undo.push("stop telling of events", () => webhooks.close());
  return {
    usage,
    uppers: new StoredUppers(uppers, runtime),
    events,
    webhooks,
    metrics,
    observers: tracing === undefined ? [metrics] : [metrics, tracing],
  };
}

/** Tells of what gets full: whose upper it is as events of the sandbox, all else as the machine's. */
function watchPressure(
  { config, runtime, log, pressureEveryMs = PRESSURE_EVERY_MS }: ObservationOptions,
  { uppers, events }: { readonly uppers: UpperRooms; readonly events: EventLog },
  undo: UndoStack,
): void {
  const { sandboxes, pools } = runtime;
  const pressure = new Pressure({
    everyMs: pressureEveryMs,
    thresholds: config.pressure,
    measure: () => fillings({ sandboxes: sandboxes.list(), uppers, pools, stateDir: config.stateDir }),
    onChange(level, { sandbox, storage, usedBytes, totalBytes }) {
      const change = { type: "storage.pressure", storage, level, usedBytes, totalBytes } as const;
      const detail = { ...(sandbox && { sandbox: sandbox.id }), storage, level, usedBytes, totalBytes };
      if (level === "normal") log.debug(detail, "storage has room again");
      else log.warn(detail, "storage is getting full");
      if (sandbox === null) events.append({ ...MACHINE, at: new Date(), ...change });
      else sandboxes.announce(sandbox.id, change);
    },
  });
  undo.push("look no more how full storage is", () => pressure.close());
}

/** The packages behind it take longer to load than all the rest, and few want them. */
async function openTracing({ otlpEndpoint }: Config, log: ObservationOptions["log"]): Promise<Tracing | undefined> {
  if (otlpEndpoint === null) return undefined;
  const tracing = await import("../telemetry/tracing.ts");
  return await tracing.openTracing({ endpoint: otlpEndpoint, version: VERSION, log });
}
