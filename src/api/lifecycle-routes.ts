import type { Route } from "./route.ts";
import { extendBody, updateBody } from "./schemas/lifecycle.ts";
import { sandboxParams, sandboxView } from "./schemas/sandbox.ts";

/** What any change of a sandbox can meet. */
const CHANGE_ERRORS = ["sandbox/not-found", "sandbox/wrong-state", "sandbox/lost", "launcher/failed"] as const;

const AS_IT_IS = { 200: { description: "As it is then", json: sandboxView } } as const;

export const LIFECYCLE_ROUTES = {
  updateSandbox: {
    method: "PATCH",
    path: "/v1/sandboxes/:ref",
    summary: "Change a sandbox's name, labels and times",
    params: sandboxParams,
    body: updateBody,
    answers: AS_IT_IS,
    errors: ["sandbox/not-found", "sandbox/name-taken"],
  },
  extendSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/extend",
    summary: "Give a sandbox a new lifetime from now on",
    params: sandboxParams,
    body: extendBody,
    answers: AS_IT_IS,
    errors: ["sandbox/not-found"],
  },
  pauseSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/pause",
    summary: "Freeze a sandbox's processes",
    params: sandboxParams,
    answers: AS_IT_IS,
    errors: [...CHANGE_ERRORS, "host/missing"],
  },
  resumeSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/resume",
    summary: "Let a paused sandbox go on",
    params: sandboxParams,
    answers: AS_IT_IS,
    errors: [...CHANGE_ERRORS],
  },
  stopSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/stop",
    summary: "End a sandbox's processes and keep what it wrote",
    params: sandboxParams,
    answers: AS_IT_IS,
    errors: [...CHANGE_ERRORS, "remote/unreachable", "remote/refused"],
  },
  startSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/start",
    summary: "Start a stopped sandbox on what it wrote",
    params: sandboxParams,
    answers: AS_IT_IS,
    errors: [...CHANGE_ERRORS, "sandbox/paused", "sandbox/launch-failed", "agent/unreachable"],
  },
  restartSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/restart",
    summary: "Stop a sandbox, where it runs, and start it again",
    params: sandboxParams,
    answers: AS_IT_IS,
    errors: [...CHANGE_ERRORS, "sandbox/launch-failed", "agent/unreachable"],
  },
} as const satisfies Record<string, Route>;

export type LifecycleRoutes = typeof LIFECYCLE_ROUTES;
