import * as z from "zod";
import { EVENT_TYPES } from "../../model/event.ts";
import { limitsMet } from "./exec.ts";

const checkpoint = z.string().describe("The checkpoint's id.");
const before = z.string().nullable().describe("The checkpoint of what the sandbox held before, where there is one.");
const exec = z.string().describe("The command's id.");

/** What each type of event tells. */
const DATA = {
  "sandbox.state": z.object({
    state: z.string().describe("The state that the sandbox has entered."),
    reason: z.looseObject({ type: z.string() }).nullable().describe("Why, where the state has a reason."),
  }),
  "sandbox.ready": z.object({}),
  "exec.started": z.object({ exec, by: z.string().describe("The name of the key that asked, or local.") }),
  "exec.ended": z.object({
    exec,
    exitCode: z.int().nullable().describe("Null when a signal ended it."),
    signal: z.string().nullable(),
    limit: z.string().nullable().describe("The limit that ended it, or that it failed at."),
    limitsMet: z.exactOptional(limitsMet),
    wallMs: z.number(),
    userMs: z.number(),
    systemMs: z.number(),
    peakRssBytes: z.int(),
    memoryPeakBytes: z.exactOptional(z.int().describe("Of a command with a memory limit alone.")),
    stdoutBytes: z.int(),
    stderrBytes: z.int(),
  }),
  "limit.reached": z.object({ limit: z.string(), exec: exec.nullable() }),
  "file.changed": z.object({ change: z.enum(["written", "moved", "removed"]), path: z.string() }),
  "storage.pressure": z.object({
    storage: z.enum(["upper", "memory-pool", "disk-pool", "state-directory"]).describe("What has become so full."),
    level: z.enum(["normal", "high", "critical"]).describe("By the thresholds that are configured; `normal`: no more."),
    usedBytes: z.int(),
    totalBytes: z.int(),
  }),
  "layers.changed": z.object({
    changed: z.array(z.string()).describe("The layers that it stands on since, or stands on no more."),
    processes: z.enum(["kept", "ended", "none"]).describe("What became of its processes."),
  }),
  "sandbox.saved": z.object({ bytes: z.int().describe("Of the image of what it has written.") }),
  "checkpoint.taken": z.object({
    ...{ checkpoint, checkpointName: z.string().nullable() },
    cause: z.enum(["asked", "exec", "fork", "restore", "merge", "merged"]).describe("What it was made for."),
  }),
  "checkpoint.removed": z.object({ checkpoint }),
  "checkpoint.restored": z.object({ checkpoint, before }),
  "checkpoint.forked": z.object({
    checkpoint,
    forks: z.array(z.string()).describe("Ids of the sandboxes that were made."),
  }),
  "checkpoint.merged": z.object({
    from: z.string().describe("Whose changes: an id or a name, as it was asked."),
    before,
  }),
} satisfies Record<(typeof EVENT_TYPES)[number], z.ZodObject>;

/** Of all events but those that are about what all sandboxes share. */
const sandbox = z.string().describe("The sandbox's id.");

const viewOf = <Type extends keyof typeof DATA>(type: Type) =>
  z.object({
    id: z.int().describe("Counts up over all events of the daemon; what to go on after."),
    type: z.literal(type),
    at: z.iso.datetime(),
    sandbox,
    name: z.string().nullable().describe("Its name then."),
    labels: z.record(z.string(), z.string()).describe("Its labels then."),
    data: DATA[type],
  });

/** The events of a stream, by type. */
export const EVENT_VIEWS = {
  "sandbox.state": viewOf("sandbox.state"),
  "sandbox.ready": viewOf("sandbox.ready"),
  "exec.started": viewOf("exec.started"),
  "exec.ended": viewOf("exec.ended"),
  "limit.reached": viewOf("limit.reached"),
  "file.changed": viewOf("file.changed"),
  "storage.pressure": viewOf("storage.pressure").extend({
    sandbox: sandbox.nullable().describe("Whose upper it is; null for what all sandboxes share."),
  }),
  "layers.changed": viewOf("layers.changed"),
  "sandbox.saved": viewOf("sandbox.saved"),
  "checkpoint.taken": viewOf("checkpoint.taken"),
  "checkpoint.removed": viewOf("checkpoint.removed"),
  "checkpoint.restored": viewOf("checkpoint.restored"),
  "checkpoint.forked": viewOf("checkpoint.forked"),
  "checkpoint.merged": viewOf("checkpoint.merged"),
};

export const eventView = z.discriminatedUnion("type", [
  EVENT_VIEWS["sandbox.state"],
  EVENT_VIEWS["sandbox.ready"],
  EVENT_VIEWS["exec.started"],
  EVENT_VIEWS["exec.ended"],
  EVENT_VIEWS["limit.reached"],
  EVENT_VIEWS["file.changed"],
  EVENT_VIEWS["storage.pressure"],
  EVENT_VIEWS["layers.changed"],
  EVENT_VIEWS["sandbox.saved"],
  EVENT_VIEWS["checkpoint.taken"],
  EVENT_VIEWS["checkpoint.removed"],
  EVENT_VIEWS["checkpoint.restored"],
  EVENT_VIEWS["checkpoint.forked"],
  EVENT_VIEWS["checkpoint.merged"],
]);

export const eventGap = z.object({
  from: z.int().describe("First id that is not there any more."),
  to: z.int().describe("Last one."),
});

export const eventList = z.object({
  events: z.array(eventView).describe("Oldest first."),
  gaps: z.array(eventGap).describe("What lies between them and is not kept any more."),
  next: z.int().describe("What to give as `after` to read on."),
});

export const eventStreamBegin = z.object({
  after: z.int().describe("Where the stream begins: what comes later is told."),
});

const TYPE = EVENT_TYPES.map((type) => type.replace(".", "\\.")).join("|");
const AREA = [...new Set(EVENT_TYPES.map((type) => type.split(".")[0]))].join("|");
const TYPE_LIST = new RegExp(`^(?:${TYPE}|(?:${AREA})\\.\\*)(?:,(?:${TYPE}|(?:${AREA})\\.\\*))*$`);

/** Types as a list with commas; `exec.*` is all of an area. */
export const eventTypes = z
  .string()
  .max(1000)
  .regex(TYPE_LIST, `must be types with commas between them, of ${EVENT_TYPES.join(", ")}, or such as exec.*`);

export const eventQuery = z.strictObject({
  after: z.exactOptional(
    z.int().min(0).describe("Tell of what comes after this id; a stream's last-event-id does the same."),
  ),
  limit: z.exactOptional(z.int().min(1).max(1000).describe("Events of an answer that is no stream; 100 by default.")),
  type: z.exactOptional(eventTypes.describe("These types alone, with commas: exec.ended,sandbox.* .")),
  sandbox: z.exactOptional(z.string().max(63).describe("This sandbox alone, by id or name.")),
  label: z.exactOptional(z.array(z.string()).describe("`key` or `key=value`; the sandbox had all that are given.")),
});
