import type { Route } from "./route.ts";
import { activateBody, deactivateQuery, recomposedView, standingParams } from "./schemas/composition.ts";
import { sandboxParams } from "./schemas/sandbox.ts";

/** What any change of what a sandbox stands on can meet. */
const CHANGE_ERRORS = [
  "sandbox/not-found",
  "sandbox/wrong-state",
  "sandbox/paused",
  "sandbox/lost",
  "sandbox/launch-failed",
  "layer/not-found",
  "layer/corrupt",
  "layer/needs-restart",
  "launcher/failed",
  "agent/unreachable",
] as const;

export const COMPOSITION_ROUTES = {
  activateLayer: {
    method: "POST",
    path: "/v1/sandboxes/:ref/layers",
    summary: "Add a layer to what a sandbox stands on",
    params: sandboxParams,
    body: activateBody,
    answers: { 200: { description: "It stands on it", json: recomposedView } },
    errors: [
      ...CHANGE_ERRORS,
      "layer/exists",
      "layer/too-large",
      "layer/build-failed",
      "layer/untrusted",
      "remote/unreachable",
    ],
  },
  deactivateLayer: {
    method: "DELETE",
    path: "/v1/sandboxes/:ref/layers/:layer",
    summary: "Take a layer away from what a sandbox stands on",
    params: standingParams,
    query: deactivateQuery,
    answers: { 200: { description: "It stands on it no more", json: recomposedView } },
    errors: [...CHANGE_ERRORS, "layer/in-use"],
  },
} as const satisfies Record<string, Route>;

export type CompositionRoutes = typeof COMPOSITION_ROUTES;
