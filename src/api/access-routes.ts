import type { Route } from "./route.ts";
import {
  auditList,
  auditQuery,
  createKeyBody,
  keyList,
  keyParams,
  keyView,
  newKeyView,
  setTenantBody,
  tenantList,
  tenantParams,
  tenantView,
} from "./schemas/access.ts";

export const ACCESS_ROUTES = {
  createKey: {
    method: "POST",
    path: "/v1/keys",
    summary: "Make an API key; its secret is shown this once",
    body: createKeyBody,
    answers: { 201: { description: "The key with its secret", json: newKeyView } },
    errors: [],
  },
  listKeys: {
    method: "GET",
    path: "/v1/keys",
    summary: "API keys of the asker's tenant, or of all for the operator",
    answers: { 200: { description: "Oldest first, revoked and expired ones too", json: keyList } },
    errors: [],
  },
  revokeKey: {
    method: "DELETE",
    path: "/v1/keys/:key",
    summary: "Refuse a key from now on; twice is harmless",
    params: keyParams,
    answers: { 200: { description: "The key", json: keyView } },
    errors: ["key/not-found"],
  },
  listTenants: {
    method: "GET",
    path: "/v1/tenants",
    summary: "Tenants that have quotas",
    answers: { 200: { description: "By name", json: tenantList } },
    errors: [],
  },
  getTenant: {
    method: "GET",
    path: "/v1/tenants/:tenant",
    summary: "One tenant's quotas",
    params: tenantParams,
    answers: { 200: { description: "What is not set has no limit", json: tenantView } },
    errors: [],
  },
  setTenant: {
    method: "PATCH",
    path: "/v1/tenants/:tenant",
    summary: "Set quotas; those that are not named stay",
    params: tenantParams,
    body: setTenantBody,
    answers: { 200: { description: "As it is now", json: tenantView } },
    errors: [],
  },
  readAudit: {
    method: "GET",
    path: "/v1/audit",
    summary: "Requests that changed something, or were to",
    query: auditQuery,
    answers: { 200: { description: "Newest first", json: auditList } },
    errors: [],
  },
} as const satisfies Record<string, Route>;

export type AccessRoutes = typeof ACCESS_ROUTES;
