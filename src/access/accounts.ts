import type { Database } from "better-sqlite3";
import { ApiKeys } from "./api-keys.ts";
import { AuditLog } from "./audit-log.ts";
import { PortTokens } from "./port-tokens.ts";
import { Tenants } from "./tenants.ts";

/** Who may do what, how much of it, and who did. */
export interface Accounts {
  readonly keys: ApiKeys;
  readonly tenants: Tenants;
  readonly portTokens: PortTokens;
  readonly audit: AuditLog;
}

export const openAccounts = (database: Database): Accounts => ({
  keys: new ApiKeys(database),
  tenants: new Tenants(database),
  audit: new AuditLog(database),
  portTokens: new PortTokens(database),
});
