import { ACCESS_ROUTES } from "./access-routes.ts";
import { CHECKPOINT_ROUTES } from "./checkpoint-routes.ts";
import { COMPOSITION_ROUTES } from "./composition-routes.ts";
import { EVENT_ROUTES } from "./event-routes.ts";
import { EXEC_ROUTES } from "./exec-routes.ts";
import { FILE_ROUTES } from "./file-routes.ts";
import { LAYER_ROUTES } from "./layer-routes.ts";
import { LIFECYCLE_ROUTES } from "./lifecycle-routes.ts";
import { METRICS_ROUTES } from "./metrics-routes.ts";
import { PORT_ROUTES } from "./port-routes.ts";
import { REMOTE_ROUTES } from "./remote-routes.ts";
import type { Route } from "./route.ts";
import { getQuery, listQuery } from "./schemas/lifecycle.ts";
import { createSandboxBody, removeQuery, sandboxList, sandboxParams, sandboxView } from "./schemas/sandbox.ts";
import { collectBody, collection, storageUsage } from "./schemas/storage.ts";
import { anyJson, health, ready, version } from "./schemas/system.ts";
import { TRANSFER_ROUTES } from "./transfer-routes.ts";
import { USAGE_ROUTES } from "./usage-routes.ts";
import { WEBHOOK_ROUTES } from "./webhook-routes.ts";

const SYSTEM_ROUTES = {
  getHealth: {
    method: "GET",
    path: "/v1/health",
    summary: "Whether the daemon answers",
    open: true,
    answers: { 200: { description: "It does", json: health } },
    errors: [],
  },
  getReady: {
    method: "GET",
    path: "/v1/ready",
    summary: "Whether sandboxes can be made",
    answers: {
      200: { description: "They can", json: ready },
      503: { description: "They cannot, and why", json: ready },
    },
    errors: [],
  },
  getVersion: {
    method: "GET",
    path: "/v1/version",
    summary: "What runs here",
    answers: { 200: { description: "Versions", json: version } },
    errors: [],
  },
  getOpenApi: {
    method: "GET",
    path: "/openapi.json",
    summary: "This document",
    answers: { 200: { description: "OpenAPI 3.1", json: anyJson } },
    errors: [],
  },
} as const satisfies Record<string, Route>;

const SANDBOX_ROUTES = {
  createSandbox: {
    method: "POST",
    path: "/v1/sandboxes",
    summary: "Create a sandbox and wait until it takes commands",
    body: createSandboxBody,
    answers: { 201: { description: "It runs", json: sandboxView } },
    errors: [
      "layer/not-found",
      "layer/corrupt",
      "layer/too-large",
      "layer/build-failed",
      "sandbox/name-taken",
      "sandbox/too-many",
      "sandbox/launch-failed",
      "sandbox/not-ready",
      "sandbox/wrong-state",
      "launcher/failed",
      "agent/unreachable",
      "host/missing",
      "checkpoint/no-space",
      "checkpoint/not-found",
      "remote/unreachable",
      "remote/refused",
    ],
  },
  listSandboxes: {
    method: "GET",
    path: "/v1/sandboxes",
    summary: "Sandboxes, a page at a time",
    query: listQuery,
    answers: { 200: { description: "Oldest first", json: sandboxList } },
    errors: [],
  },
  getSandbox: {
    method: "GET",
    path: "/v1/sandboxes/:ref",
    summary: "One sandbox, at once or when it is ready",
    params: sandboxParams,
    query: getQuery,
    answers: { 200: { description: "As it is now", json: sandboxView } },
    errors: ["sandbox/not-found", "sandbox/wrong-state", "sandbox/not-ready"],
  },
  removeSandbox: {
    method: "DELETE",
    path: "/v1/sandboxes/:ref",
    summary: "End a sandbox's processes and remove everything of it",
    params: sandboxParams,
    query: removeQuery,
    answers: { 204: { description: "Nothing of it is left" } },
    errors: ["sandbox/not-found", "launcher/failed", "remote/unreachable", "remote/refused"],
  },
} as const satisfies Record<string, Route>;

const STORAGE_ROUTES = {
  getStorage: {
    method: "GET",
    path: "/v1/storage",
    summary: "What layers take on the disk, and which of them could go",
    answers: { 200: { description: "As it is now", json: storageUsage } },
    errors: [],
  },
  collectStorage: {
    method: "POST",
    path: "/v1/storage/collect",
    summary: "Take away what nobody needs, never what a sandbox stands on",
    body: collectBody,
    answers: { 200: { description: "What went, or would go", json: collection } },
    errors: [],
  },
} as const satisfies Record<string, Route>;

/** API v1. A route's key is its OpenAPI operation id. */
export const ROUTES = {
  ...SYSTEM_ROUTES,
  ...SANDBOX_ROUTES,
  ...LIFECYCLE_ROUTES,
  ...CHECKPOINT_ROUTES,
  ...COMPOSITION_ROUTES,
  ...EXEC_ROUTES,
  ...LAYER_ROUTES,
  ...TRANSFER_ROUTES,
  ...REMOTE_ROUTES,
  ...STORAGE_ROUTES,
  ...ACCESS_ROUTES,
  ...USAGE_ROUTES,
  ...PORT_ROUTES,
  ...FILE_ROUTES,
  ...EVENT_ROUTES,
  ...WEBHOOK_ROUTES,
  ...METRICS_ROUTES,
} as const satisfies Record<string, Route>;

export type SystemRoutes = typeof SYSTEM_ROUTES;
export type SandboxRoutes = typeof SANDBOX_ROUTES;
export type StorageRoutes = typeof STORAGE_ROUTES;
