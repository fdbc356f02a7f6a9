import * as z from "zod";

const bytes = z.int().min(0);

const storedLayer = z.object({
  digest: z.string(),
  names: z.array(z.string()).describe("Empty where it has none any more."),
  isStep: z.boolean().describe("Whether it is kept as a step of a build, for the next one to find."),
  format: z.enum(["squashfs", "erofs", "dir"]),
  bytes: bytes.describe("On the disk, with what was unpacked of it."),
  lastUsedAt: z.string(),
  inUse: z.boolean().describe("Whether a sandbox, also a stopped one, or a process stands on it."),
});

const upper = z.object({
  ...{ sandbox: z.string(), tenant: z.string(), name: z.string().nullable(), kind: z.enum(["tmpfs", "disk"]) },
  usedBytes: bytes.nullable().describe("With what its checkpoints hold on to; null where nobody knows, or not yet."),
  limitBytes: bytes.nullable().describe("Null where only the medium bounds it."),
  checkpoints: z.int(),
  packedBytes: bytes.describe("Of the files that some of these are packed into."),
});

export const storageUsage = z.object({
  uppers: z.array(upper).describe("Of all sandboxes, oldest first."),
  upperBytes: bytes.describe("All uppers together, as far as that is known."),
  packedBytes: bytes.describe("All files that checkpoints are packed into."),
  pools: z
    .array(z.object({ medium: z.enum(["memory", "disk"]), usedBytes: bytes, totalBytes: bytes }))
    .describe("Where uppers with snapshots and all checkpoints are."),
  layers: z.array(storedLayer).describe("Least recently used first."),
  layerBytes: bytes.describe("All layers together."),
  reclaimableBytes: bytes.describe("Of layers that nobody stands on."),
  leftoverBytes: bytes.describe("What killed processes left half made."),
  budgetBytes: bytes.nullable(),
  freeBytes: bytes.describe("Of the file system that the layers are on."),
  totalBytes: bytes,
});

export const collectBody = z.strictObject({
  dryRun: z.exactOptional(z.boolean().describe("Tell what would go, and change nothing.")),
  budgetBytes: z.exactOptional(bytes.describe("In place of the configured one; 0 leaves only what is stood on.")),
  buildCache: z.exactOptional(
    z
      .boolean()
      .describe("Take away all that builds keep for the next one, and not only what none has used for a week."),
  ),
});

export const collection = z.object({
  items: z.array(
    z.object({
      reason: z.enum(["leftover", "unnamed", "step", "over-budget"]),
      digest: z.string().nullable().describe("Null for what was left half made."),
      names: z.array(z.string()),
      bytes,
      lastUsedAt: z.string().nullable(),
    }),
  ),
  freedBytes: bytes,
  layerBytes: bytes.describe("What layers take now, or would take."),
  isOverBudget: z.boolean().describe("Whether what is stood on takes more than the budget by itself."),
});
