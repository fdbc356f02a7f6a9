import * as z from "zod";
import { CHECKPOINT_BOUNDS } from "../../model/checkpoint.ts";
import { LIMIT_BOUNDS } from "../../model/sandbox.ts";
import { layerRef } from "./layer.ts";
import { dnsLabel, lifecycleFields, lifecycleView, stateView } from "./lifecycle.ts";
import { optional } from "./optional.ts";
import { seccomp } from "./seccomp.ts";
import { environment } from "./text.ts";

/** An id or a name; which sandbox it means is the service's answer. */
export const sandboxParams = z.strictObject({
  ref: z
    .string()
    .max(63)
    .regex(/^[a-z0-9][a-z0-9_-]*$/, "must be a sandbox's id or name")
    .describe("The sandbox's id or name."),
});

const bounded = (limit: keyof typeof LIMIT_BOUNDS) => z.int().min(LIMIT_BOUNDS[limit].min).max(LIMIT_BOUNDS[limit].max);

const limits = {
  memoryBytes: bounded("memoryBytes").describe("Memory of all processes and of the tmpfs upper, in bytes."),
  pids: bounded("pids").describe("Processes and threads."),
  cpus: z.number().min(LIMIT_BOUNDS.cpus.min).max(LIMIT_BOUNDS.cpus.max).describe("Cores, such as 0.5."),
  cpuWeight: bounded("cpuWeight").describe("Share of the cores where others want them too; 100 is an ordinary one."),
  openFiles: bounded("openFiles").describe("Descriptors that one process may have."),
};
const fileSizeBytes = bounded("fileSizeBytes").describe("How large one file may be made; null for no limit.");

const upperBytes = bounded("upperBytes").describe("Size limit in bytes.");
const upperInodes = bounded("upperInodes").describe("How many files, directories and links it may hold.");

const diskBytes = bounded("diskBytes").describe("Size limit in bytes; without it, as much as there is room.");
const diskInodes = bounded("diskInodes").describe("How many files, directories and links it may hold; needs bytes.");

const snapshots = z
  .boolean()
  .describe("Whether it is copied on write, so that it can be checkpointed and forked at any time; false by default.");
const checkpoint = z
  .enum(["per-exec"])
  .describe("When checkpoints are made unasked: before each command. The upper has snapshots then.");
const keepCheckpoints = z
  .int()
  .min(CHECKPOINT_BOUNDS.keep.min)
  .max(CHECKPOINT_BOUNDS.keep.max)
  .describe(`How many of those are kept, the newest; ${CHECKPOINT_BOUNDS.keepByDefault} by default.`);

const allowPrivilegeEscalation = z
  .boolean()
  .describe("Whether setuid programs such as sudo work inside, within its own range of ids; false by default.");

export const removeQuery = z.strictObject({
  save: z.exactOptional(
    z
      .boolean()
      .describe("Whether what it wrote goes to object storage first, where that is to hold it; true by default."),
  ),
});

export const createSandboxBody = z.strictObject({
  name: optional(dnsLabel.describe("A name to find it by; one living sandbox has it at a time.")),
  layers: optional(
    z
      .array(layerRef)
      .min(1)
      .max(64)
      .describe("What it stands on; each layer's number is its place, lowest at the bottom."),
  ),
  restore: optional(
    z
      .string()
      .max(63)
      .regex(/^[a-z0-9][a-z0-9_-]*$/, "must be a sandbox's id or name")
      .describe("The name, or the id, of a sandbox that was saved in object storage, by any host; in place of layers."),
  ),
  upper: optional(
    z
      .discriminatedUnion("kind", [
        z.strictObject({
          kind: z.literal("tmpfs"),
          bytes: optional(upperBytes),
          inodes: optional(upperInodes),
          snapshots: optional(snapshots),
        }),
        z.strictObject({
          kind: z.literal("disk"),
          bytes: optional(diskBytes),
          inodes: optional(diskInodes),
          snapshots: optional(snapshots),
        }),
      ])
      .describe("Where the writable layer lives."),
  ),
  limits: optional(
    z.strictObject({
      memoryBytes: optional(limits.memoryBytes),
      pids: optional(limits.pids),
      cpus: optional(limits.cpus),
      cpuWeight: optional(limits.cpuWeight),
      openFiles: optional(limits.openFiles),
      fileSizeBytes: optional(fileSizeBytes.nullable()),
    }),
  ),
  env: optional(environment.describe("Environment of every command.")),
  hostname: optional(dnsLabel.describe("The host name inside; the sandbox's name by default.")),
  checkpoint: optional(checkpoint),
  keepCheckpoints: optional(keepCheckpoints),
  seccomp: optional(seccomp),
  allowPrivilegeEscalation: optional(allowPrivilegeEscalation),
  ...lifecycleFields,
});

export const sandboxView = z.object({
  id: z.string(),
  tenant: z.string().describe("Whose it is."),
  name: z.string().nullable(),
  incarnation: z.int().describe("Counts the starts of this sandbox."),
  state: stateView,
  layers: z.array(z.string()).describe("Layer names, bottom first."),
  warnings: z.array(z.string()).describe("What of its layers may not fit together, as it was known at its creation."),
  upper: z.object({
    kind: z.enum(["tmpfs", "disk"]),
    bytes: z.exactOptional(z.int()),
    inodes: z.exactOptional(z.int()),
    snapshots: z.exactOptional(z.boolean()),
  }),
  lineage: z
    .object({
      head: z.string().nullable().describe("The checkpoint that it was restored to, or that was made of it last."),
      changed: z.boolean().describe("Whether something may have been written since a restore to `head`."),
      forkedFrom: z.object({ sandbox: z.string(), checkpoint: z.string() }).nullable(),
      checkpoint: checkpoint.nullable(),
      keepCheckpoints: keepCheckpoints.nullable(),
    })
    .nullable()
    .describe("What its upper has come from; null where that has no snapshots."),
  limits: z
    .object({
      ...{ memoryBytes: limits.memoryBytes.nullable(), pids: limits.pids.nullable() },
      ...{ cpus: limits.cpus.nullable(), cpuWeight: limits.cpuWeight.nullable() },
      ...{ openFiles: limits.openFiles, fileSizeBytes: fileSizeBytes.nullable() },
    })
    .describe("Null where nothing bounds it: without root, cgroups hold no limits."),
  env: z.record(z.string(), z.string()),
  cwd: z.string().nullable().describe("Where commands start that do not say, as its image has it; null for home."),
  user: z.string().nullable().describe("Whose commands are that do not say, as its image has it; null for root."),
  hostname: z.string(),
  seccomp,
  allowPrivilegeEscalation,
  createdAt: z.iso.datetime(),
  ...lifecycleView,
});

export const sandboxList = z.object({
  sandboxes: z.array(sandboxView),
  next: z.string().nullable().describe("What `after` of the next page is; null where this is the last."),
});
