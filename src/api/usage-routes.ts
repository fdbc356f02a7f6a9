import type { Route } from "./route.ts";
import { sandboxParams } from "./schemas/sandbox.ts";
import { errorBody } from "./schemas/system.ts";
import { processList, usageList, usageQuery, usageView } from "./schemas/usage.ts";

const ERROR_EVENT = { error: errorBody.shape.error };

export const USAGE_ROUTES = {
  listUsage: {
    method: "GET",
    path: "/v1/usage",
    summary: "What every sandbox takes from the machine; a series of it as a stream",
    query: usageQuery,
    answers: {
      200: { description: "Now; or now and again", json: usageList, events: { usage: usageList, ...ERROR_EVENT } },
    },
    errors: [],
  },
  getUsage: {
    method: "GET",
    path: "/v1/sandboxes/:ref/usage",
    summary: "What one sandbox takes from the machine; a series of it as a stream",
    params: sandboxParams,
    query: usageQuery,
    answers: {
      200: { description: "Now; or now and again", json: usageView, events: { usage: usageView, ...ERROR_EVENT } },
    },
    errors: ["sandbox/not-found", "sandbox/wrong-state"],
  },
  listProcesses: {
    method: "GET",
    path: "/v1/sandboxes/:ref/processes",
    summary: "The processes in a sandbox",
    params: sandboxParams,
    answers: { 200: { description: "By pid", json: processList } },
    errors: [
      "sandbox/not-found",
      "sandbox/wrong-state",
      "sandbox/paused",
      "sandbox/lost",
      "agent/protocol",
      "agent/unreachable",
    ],
  },
} as const satisfies Record<string, Route>;

export type UsageRoutes = typeof USAGE_ROUTES;
