import * as z from "zod";
import { SANDBOX_NAME } from "../../model/ids.ts";
import { SCOPES } from "../../model/principal.ts";

const label = z.string().regex(SANDBOX_NAME, "must be 1 to 63 of a-z, 0-9 and -, not starting or ending with -");
const tenantName = label.describe("Name of the tenant.");
const scope = z.enum(SCOPES);
const instant = z.iso.datetime({ offset: true });

export const createKeyBody = z.strictObject({
  name: label.describe("What it is called in the audit log and in the history of commands."),
  tenant: z.exactOptional(
    label.describe("Whose it is; the asker's tenant by default. Another's only by the operator."),
  ),
  scopes: z
    .array(scope)
    .min(1)
    .describe("What it may do. `admin` administers the tenant's keys and includes every other scope."),
  expiresAt: z.exactOptional(instant.describe("From when on it is refused; never by default.")),
});

const apiKey = {
  id: z.string().describe("The public part of the key."),
  name: z.string(),
  tenant: z.string(),
  scopes: z.array(scope),
  createdAt: instant,
  expiresAt: instant.nullable(),
  revokedAt: instant.nullable(),
  lastUsedAt: instant.nullable().describe("To the minute."),
};

export const keyView = z.object(apiKey);
export const newKeyView = z.object({ ...apiKey, secret: z.string().describe("The key itself, shown this once.") });
export const keyList = z.object({ keys: z.array(keyView) });
export const keyParams = z.strictObject({
  key: z
    .string()
    .regex(/^[0-9a-z]{12}$/, "must be the id of a key")
    .describe("The key's id."),
});

const amount = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const rate = z.strictObject({
  perMinute: z.number().min(0.001).max(1e9).describe("On average."),
  burst: z.int().min(1).max(1e9).describe("At once."),
});

const quotas = {
  sandboxes: amount.nullable().describe("Sandboxes at once; null for no limit, as in the others."),
  cpus: amount.nullable().describe("Cores of all sandboxes together."),
  memoryBytes: amount.nullable().describe("Memory limits of all sandboxes together."),
  diskBytes: amount
    .nullable()
    .describe("Size limits of all writable layers together; one without a size limit is refused where this is set."),
  requests: rate.nullable().describe("API requests."),
  execs: rate.nullable().describe("Commands started."),
};

export const setTenantBody = z.strictObject({
  sandboxes: z.exactOptional(quotas.sandboxes),
  cpus: z.exactOptional(quotas.cpus),
  memoryBytes: z.exactOptional(quotas.memoryBytes),
  diskBytes: z.exactOptional(quotas.diskBytes),
  requests: z.exactOptional(quotas.requests),
  execs: z.exactOptional(quotas.execs),
});
export const tenantParams = z.strictObject({ tenant: tenantName });
export const tenantView = z.object({ name: z.string(), quotas: z.object(quotas) });
export const tenantList = z.object({ tenants: z.array(tenantView) });

export const auditQuery = z.strictObject({
  before: z.exactOptional(z.int().min(1).describe("Entries older than the one of this id; the newest by default.")),
  limit: z.exactOptional(z.int().min(1).max(1000).describe("At most so many; 100 by default.")),
  tenant: z.exactOptional(label.describe("Of this tenant alone; only for the operator.")),
  sandbox: z.exactOptional(z.string().max(63).describe("About the sandbox of this id alone, or merged from it.")),
});
export const auditList = z.object({
  entries: z.array(
    z.object({
      id: z.int(),
      at: instant,
      tenant: z.string().nullable(),
      by: z.string().nullable().describe("Name of the key, or `local`."),
      key: z.string().nullable(),
      action: z.string().describe("The operation's id in this document."),
      path: z.string(),
      sandbox: z.string().nullable(),
      from: z.string().nullable().describe("Id of the sandbox or checkpoint that was merged into that sandbox."),
      status: z.int(),
      code: z.string().nullable().describe("Code of the error that it was answered with."),
      remote: z.string().nullable().describe("The client's address; null on the Unix socket."),
    }),
  ),
});
