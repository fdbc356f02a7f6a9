import type { Accounts } from "../access/accounts.ts";
import type { ApiKey, AuditEntry, Quotas } from "../model/access.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Principal } from "../model/principal.ts";
import type { AccessRoutes } from "./access-routes.ts";
import { json } from "./answers.ts";
import type { AuditList, KeyView } from "./contract.ts";
import type { Handlers } from "./route.ts";

export function accessHandlers({ keys, tenants, audit }: Accounts): Handlers<AccessRoutes> {
  return {
    createKey({ principal, body }) {
      const { name, scopes, expiresAt } = body;
      const { key, secret } = keys.create({
        name,
        tenant: ownTenant(principal, body.tenant) ?? principal.tenant,
        scopes,
        ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
      });
      return json(201, { ...keyView(key), secret });
    },
    listKeys({ principal }) {
      return json(200, { keys: keys.list(ownTenant(principal)).map(keyView) });
    },
    revokeKey({ principal, params }) {
      return json(200, keyView(keys.revoke(params.key, ownTenant(principal))));
    },
    listTenants: () => json(200, { tenants: tenants.list() }),
    getTenant: ({ params }) => json(200, { name: params.tenant, quotas: tenants.quotasOf(params.tenant) }),
    setTenant: ({ params, body }) => json(200, tenants.set(params.tenant, body as Partial<Quotas>)),
    readAudit({ principal, query }) {
      const { before, limit = 100, sandbox } = query;
      const tenant = ownTenant(principal, query.tenant);
      const entries = audit.read({
        limit,
        ...(before !== undefined && { before }),
        ...(sandbox !== undefined && { sandbox }),
        ...(tenant !== undefined && { tenant }),
      });
      return json(200, { entries: entries.map(auditView) } satisfies AuditList);
    },
  };
}

/** The tenant that is asked about: any, or all, by the operator, and by everybody else their own. */
function ownTenant(principal: Principal, asked?: string): string | undefined {
  if (principal.isOperator) return asked;
  if (asked === undefined || asked === principal.tenant) return principal.tenant;
  throw new PlyboxError("auth/scope-missing", "another tenant is for the operator of this daemon", { field: "tenant" });
}

function keyView(key: ApiKey): KeyView {
  const { id, name, tenant, scopes } = key;
  return {
    id,
    name,
    tenant,
    scopes: [...scopes],
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  };
}

const auditView = (entry: AuditEntry): AuditList["entries"][number] => ({ ...entry, at: entry.at.toISOString() });
