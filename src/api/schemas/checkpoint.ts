import * as z from "zod";
import { CHECKPOINT_BOUNDS } from "../../model/checkpoint.ts";
import { dnsLabel } from "./lifecycle.ts";
import { sandboxView } from "./sandbox.ts";

const innerPath = z
  .union([z.string(), z.object({ base64: z.string() })])
  .describe("Absolute; what is not UTF-8 in base64.");

const checkpointId = z
  .string()
  .max(63)
  .regex(/^[a-z0-9][a-z0-9_-]*$/, "must be a checkpoint's id");

export const checkpointParams = z.strictObject({ checkpoint: checkpointId.describe("The checkpoint's id.") });

/** What every answer says of how it came about. */
const method = {
  mechanism: z
    .literal("copy-on-write")
    .describe("How the bytes are kept: the file system shares them until somebody writes."),
  frozen: z
    .boolean()
    .describe("Whether commands that ran stood still for it, so that it is one moment of all of them."),
};

const unpacked = z.boolean().describe("Whether a checkpoint was packed, and had to be unpacked for it.");

const cause = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("asked") }),
    z.object({ type: z.literal("exec"), command: z.string().describe("The command that it was made before.") }),
    z.object({ type: z.literal("fork") }),
    z.object({ type: z.literal("restore") }),
    z.object({ type: z.literal("merge") }),
    z.object({ type: z.literal("merged") }),
  ])
  .describe(
    "What it was made for; `restore` and `merge` keep what a sandbox held before, `merged` what was merged into another.",
  );

export const checkpointView = z.object({
  id: z.string(),
  sandbox: z.string().describe("The id of the sandbox whose it is, which may be gone."),
  tenant: z.string(),
  name: z.string().nullable(),
  state: z.enum(["ready", "lost"]).describe("Of one that is lost, what it held was in memory when the machine ended."),
  cause,
  parent: z.string().nullable().describe("The checkpoint that its sandbox stood on before."),
  createdAt: z.iso.datetime(),
  medium: z.enum(["memory", "disk"]).describe("Where its bytes are."),
  layers: z.array(z.string()),
  packed: z
    .object({
      bytes: z.int().describe("Of the file that it is in."),
      whole: z.boolean().describe("Whether the file has all of it, and not only what differs from a later one."),
      inPool: z.boolean().describe("Whether it is in the pool besides, as one that was unpacked is for a while."),
    })
    .nullable()
    .describe("How it is packed; null where it is not."),
});

const freeze = z
  .boolean()
  .describe("Whether commands that run stand still for the moment that it takes; true by default.");

export const checkpointBody = z.strictObject({
  freeze: z.exactOptional(freeze),
  name: z.exactOptional(dnsLabel.describe("A name to find it by; a checkpoint with a name stays until it is removed.")),
});
export const packBody = z.strictObject({
  whole: z.exactOptional(
    z.boolean().describe("Whether the file is to have all of it, so that it outlives the pool; false by default."),
  ),
});
export const takenView = z.object({ checkpoint: checkpointView, ...method });

export const checkpointList = z.object({ checkpoints: z.array(checkpointView).describe("Oldest first.") });

export const timelineView = z.object({
  sandbox: z.string(),
  head: z.string().nullable().describe("The checkpoint that it was restored to, or that was made of it last."),
  changed: z.boolean().describe("Whether something may have been written since a restore to `head`."),
  checkpoints: z.array(checkpointView).describe("Its own and those that it has come from, oldest first."),
});

const count = z.int().min(1).max(CHECKPOINT_BOUNDS.forks).describe("How many; 1 by default.");
const forkName = dnsLabel.describe("Of the one, or what -1, -2… is added to.");
const point = checkpointId.describe("A checkpoint's id, or the name of one that the sandbox can go back to.");

export const forkPointBody = z.strictObject({ count: z.exactOptional(count), name: z.exactOptional(forkName) });
export const forkBody = z.strictObject({
  ...forkPointBody.shape,
  from: z.exactOptional(point),
  freeze: z.exactOptional(freeze),
});
export const forkView = z.object({ checkpoint: checkpointView, sandboxes: z.array(sandboxView), ...method, unpacked });

const MOST_CHANGES = 10_000;

export const diffQuery = z.strictObject({
  from: point,
  to: z.exactOptional(point).describe("What it holds now by default."),
  text: z.exactOptional(z.boolean().describe("Whether to tell what changed in files line by line; false by default.")),
  limit: z.exactOptional(z.int().min(1).max(MOST_CHANGES).describe("How many changes at most; 1,000 by default.")),
});

const change = z.object({
  kind: z.enum(["added", "removed", "changed", "type-changed"]),
  path: innerPath,
  aspects: z.array(z.string()).describe("In what it has changed: content, mode, owner, target, device, attributes."),
  text: z.exactOptional(
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("text"), unified: z.string().describe("A unified diff.") }),
      z.object({ kind: z.literal("binary") }),
      z.object({ kind: z.literal("too-large"), mostBytes: z.int() }),
    ]),
  ),
});

export const diffView = z.object({
  from: z.string(),
  to: z.string().nullable().describe("Null: what it holds now."),
  changes: z.array(change).describe("In the order of the paths; a directory before what is in it."),
  more: z.boolean().describe("Whether there are more changes than `limit`."),
  unpacked,
});

export const restoreBody = z.strictObject({ checkpoint: point });
export const undoBody = z.strictObject({
  steps: z.exactOptional(z.int().min(1).max(100_000).describe("How many checkpoints to go back; 1 by default.")),
});
export const restoredView = z.object({
  sandbox: sandboxView,
  checkpoint: checkpointView.describe("What it holds now."),
  before: z.string().nullable().describe("The checkpoint of what it held before; null where nothing had changed."),
  restarted: z.boolean().describe("Whether its commands were ended, and it was started again."),
  ...method,
  unpacked,
});

const MOST_PATHS = 1000;
const MOST_PATH = 4096;

export const mergeBody = z.strictObject({
  from: z
    .string()
    .min(1)
    .max(63)
    .describe("Whose changes: a sandbox by id or name, as it is now, or a checkpoint by id."),
  paths: z.exactOptional(
    z
      .array(z.string().min(1).max(MOST_PATH))
      .min(1)
      .max(MOST_PATHS)
      .describe(
        "What of it: paths with all below, `*` and `?` within a name, `**` for any directories; all by default.",
      ),
  ),
  onConflict: z.exactOptional(
    z
      .enum(["refuse", "ours", "theirs"])
      .describe(
        "What becomes of what both changed: nothing is merged at all (the default), or one side is taken there.",
      ),
  ),
  dryRun: z.exactOptional(z.boolean().describe("Whether only to tell what would be done; false by default.")),
});

const sideChange = z.enum(["added", "changed", "removed", "replaced"]);

export const mergeView = z.object({
  outcome: z
    .enum(["merged", "planned", "conflicts", "unchanged"])
    .describe("But for `merged`, nothing was written. `unchanged`: there is nothing to merge. `planned`: a dry run."),
  sandbox: sandboxView,
  base: checkpointView.describe("The newest point that both have come from; changes count from there."),
  changes: z
    .array(z.object({ kind: z.enum(["written", "removed"]), path: innerPath }))
    .describe("Paths that are written, or removed with all below; the first 1,000."),
  changeCount: z.int(),
  conflicts: z
    .array(
      z.object({
        path: innerPath,
        reason: z.enum(["both-added", "both-changed", "both-replaced", "ours-removed", "theirs-removed"]),
        ours: sideChange.describe("What the sandbox did there, or below."),
        theirs: sideChange.describe("What `from` did there, or below."),
      }),
    )
    .describe("What both changed, each time the topmost path; the first 1,000."),
  conflictCount: z.int(),
  before: z.string().nullable().describe("The checkpoint of what it held before; null where nothing was written."),
  restarted: z.boolean().describe("Whether its commands were ended, and it was started again."),
  ...method,
  unpacked,
});
