import * as z from "zod";
import { SANDBOX_NAME } from "../../model/ids.ts";
import { PROBE_BOUNDS } from "../../model/ready-probe.ts";
import { LABEL_BOUNDS, LABEL_KEY, TIMEOUT_BOUNDS } from "../../model/sandbox.ts";
import { BACKOFF_BOUNDS } from "../../model/start-command.ts";
import { optional } from "./optional.ts";
import { absolutePath, argumentList, environment, shellLine, user } from "./text.ts";

export const dnsLabel = z
  .string()
  .regex(SANDBOX_NAME, "must be 1 to 63 of a-z, 0-9 and -, not starting or ending with -");

const commandLine = z.union([shellLine, argumentList], {
  error: "must be a line for /bin/sh, or a program with its arguments",
});

const labelKey = z
  .string()
  .regex(LABEL_KEY, "a label is 1 to 63 of A-Z a-z 0-9 . _ - /, with a letter or digit at both ends");
const labelValue = z.string().max(LABEL_BOUNDS.valueLength);
const tooMany = `must be at most ${LABEL_BOUNDS.count}`;
const few = (labels: object): boolean => Object.keys(labels).length <= LABEL_BOUNDS.count;

const labels = z.record(labelKey, labelValue).refine(few, tooMany);
const labelChanges = z.record(labelKey, labelValue.nullable()).refine(few, tooMany);

const timeout = z.int().min(TIMEOUT_BOUNDS.min).max(TIMEOUT_BOUNDS.max);
const lifetimeMs = timeout.describe("How long it may live from now on, in milliseconds.");
const idleMs = timeout.describe("How long nothing may be done in it, in milliseconds.");
const idleCountsCommands = z
  .boolean()
  .describe("Whether a command that runs counts as activity, also when nobody follows it; false by default.");
const onExpire = z.enum(["destroy", "stop"]).describe("What becomes of it when its time is over; destroy by default.");
const resumeOnDemand = z
  .boolean()
  .describe("Whether it resumes when something is asked of it while it is paused; false by default.");

const backoff = z.int().min(BACKOFF_BOUNDS.min).max(BACKOFF_BOUNDS.max);

const restart = z.enum(["never", "on-failure", "always"]).describe("Whether it is run again; never by default.");
const whenDone = z.enum(["keep", "stop"]).describe("What becomes of the sandbox then; keep by default.");
const maxRestarts = z.int().min(0).max(1_000_000).describe("After so many restarts it is left; no end by default.");

/** What is the same in what is asked for and in what is shown. */
const startFields = {
  command: commandLine.describe("A line for /bin/sh -c, or a program with its arguments."),
  env: z.exactOptional(environment.describe("Added to the sandbox's environment.")),
  cwd: z.exactOptional(absolutePath.describe("Working directory; the user's home by default.")),
  user: z.exactOptional(user.describe("name, uid, name:group or uid:gid; root by default.")),
  maxRestarts: z.exactOptional(maxRestarts),
};

const startCommand = z
  .strictObject({
    ...startFields,
    restart: z.exactOptional(restart),
    backoffMs: z.exactOptional(
      backoff.describe("Before the first restart; doubled with each that follows soon; 100 by default."),
    ),
    maxBackoffMs: z.exactOptional(backoff.describe("The longest that a restart is put off; 60,000 by default.")),
    whenDone: z.exactOptional(whenDone),
  })
  .describe("A command that is run after each start, and again as `restart` says.");

const port = z.int().min(1).max(65_535);
const probeTime = z.int().min(PROBE_BOUNDS.min).max(PROBE_BOUNDS.max);
const probeTimes = {
  intervalMs: z.exactOptional(probeTime),
  attemptMs: z.exactOptional(probeTime),
  timeoutMs: z.exactOptional(probeTime),
};
const urlPath = z
  .string()
  .max(2048)
  .regex(/^\/[!-~]*$/, "must begin with / and have no spaces");

const readyProbe = z
  .discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("exec"), command: commandLine, ...probeTimes }),
    z.strictObject({ kind: z.literal("http"), port, path: z.exactOptional(urlPath), ...probeTimes }),
    z.strictObject({ kind: z.literal("tcp"), port, ...probeTimes }),
  ])
  .describe("How it is found out whether it is ready.");

/** Of a create, beside what the sandbox is made of. */
export const lifecycleFields = {
  labels: optional(labels.describe("Words to find it by.")),
  lifetimeMs: optional(lifetimeMs),
  idleMs: optional(idleMs),
  idleCountsCommands: optional(idleCountsCommands),
  onExpire: optional(onExpire),
  resumeOnDemand: optional(resumeOnDemand),
  start: optional(
    startCommand.nullable().describe("By default what its image is made to run, where it has one; null for none."),
  ),
  readyProbe: optional(readyProbe),
  wait: optional(
    z.boolean().describe("Whether to answer only when the ready probe has succeeded; true by default with a probe."),
  ),
};

export const updateBody = z.strictObject({
  name: z.exactOptional(dnsLabel.nullable().describe("null takes the name away.")),
  labels: z.exactOptional(labelChanges.describe("Labels to set; null takes one away, the others stay.")),
  lifetimeMs: z.exactOptional(lifetimeMs.nullable()),
  idleMs: z.exactOptional(idleMs.nullable()),
  idleCountsCommands: z.exactOptional(idleCountsCommands),
  onExpire: z.exactOptional(onExpire),
  resumeOnDemand: z.exactOptional(resumeOnDemand),
});

export const extendBody = z.strictObject({ lifetimeMs });

const STATES = ["creating", "starting", "running", "paused", "stopping", "stopped", "failed", "lost"] as const;

export const listQuery = z.strictObject({
  label: z.exactOptional(z.array(z.string()).describe("`key` or `key=value`; all that are given must be met.")),
  state: z.exactOptional(z.array(z.enum(STATES)).describe("States; one of them must be met.")),
  name: z.exactOptional(
    z
      .array(z.string().regex(/^[a-z0-9-]*\*?$/, "must be a name, or the beginning of one with * behind it"))
      .describe("Names, or beginnings with `*`; one of them must be met."),
  ),
  limit: z.exactOptional(z.int().min(1).max(1000).describe("How many at most; 500 by default.")),
  after: z.exactOptional(z.string().max(63).describe("`next` of the page before.")),
});

export const getQuery = z.strictObject({
  wait: z.exactOptional(z.enum(["ready"]).describe("Answer only when it is ready.")),
  waitMs: z.exactOptional(
    z
      .int()
      .min(0)
      .max(2 ** 31 - 1)
      .describe("Answer at the latest after so long, ready or not; without end by default."),
  ),
});

const seen = { code: z.int().nullable(), signal: z.string().nullable() };
const endReason = z.discriminatedUnion("type", [
  z.object({ type: z.literal("asked") }),
  z.object({ type: z.literal("lifetime"), lifetimeMs: z.int() }),
  z.object({ type: z.literal("idle"), idleMs: z.int() }),
  z.object({ type: z.literal("exited"), ...seen }),
  z.object({ type: z.literal("start-command"), ...seen }),
  z.object({ type: z.literal("interrupted"), during: z.enum(["create", "start"]) }),
]);
const failureReason = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("launch-failed"),
    message: z.string(),
    step: z.string().nullable(),
    errno: z.string().nullable(),
  }),
  z.object({ type: z.literal("agent-misbehaved"), message: z.string() }),
]);
const lossReason = z.discriminatedUnion("type", [
  z.object({ type: z.literal("upper-gone") }),
  z.object({ type: z.literal("unrecoverable"), message: z.string() }),
]);

const pid = z.int().describe("The host's pid of the sandbox's PID 1.");

export const stateView = z
  .discriminatedUnion("kind", [
    z.object({ kind: z.literal("creating") }),
    z.object({ kind: z.literal("starting") }),
    z.object({ kind: z.literal("running"), pid }),
    z.object({ kind: z.literal("paused"), pid }),
    z.object({ kind: z.literal("stopping"), pid, reason: endReason }),
    z.object({ kind: z.literal("stopped"), reason: endReason }),
    z.object({ kind: z.literal("failed"), reason: failureReason }),
    z.object({ kind: z.literal("lost"), reason: lossReason }),
    z.object({ kind: z.literal("destroyed"), reason: endReason }),
  ])
  .describe("Where the sandbox is in its life, and why.");

const startEnd = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("exited"), ...seen }),
  z.object({ kind: z.literal("refused"), code: z.string(), message: z.string() }),
  z.object({ kind: z.literal("unseen") }),
]);

const startView = z.object({
  ...startFields,
  restart,
  backoffMs: backoff,
  maxBackoffMs: backoff,
  whenDone,
  status: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("idle") }),
    z.object({ kind: z.literal("running"), exec: z.string(), pid: z.int().nullable() }),
    z.object({ kind: z.literal("waiting"), delayMs: z.int() }),
    z.object({ kind: z.literal("done") }),
  ]),
  restarts: z.int().describe("Since the sandbox was started."),
  lastEnd: startEnd.nullable(),
});

/** What a sandbox's view has of all this. */
export const lifecycleView = {
  labels: z.record(z.string(), z.string()),
  lifetimeMs: z.int().nullable(),
  expiresAt: z.iso.datetime().nullable().describe("When its lifetime is over."),
  idleMs: z.int().nullable(),
  idleCountsCommands: z.boolean(),
  onExpire: z.enum(["destroy", "stop"]),
  resumeOnDemand: z.boolean(),
  start: startView.nullable(),
  readyProbe: readyProbe.nullable(),
  ready: z.boolean().nullable().describe("Whether the probe has succeeded since the last start; null without one."),
};
