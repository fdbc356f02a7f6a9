import type { Route } from "./route.ts";
import { movedLayers, pullBody, pushBody, remoteProgress, syncBody } from "./schemas/remote.ts";
import { errorBody } from "./schemas/system.ts";

const answers = {
  200: {
    description: "What became of each layer; as it goes, where events are asked for",
    json: movedLayers,
    events: { progress: remoteProgress, moved: movedLayers, error: errorBody.shape.error },
  },
} as const;

const REMOTE_ERRORS = [
  "layer/not-found",
  "layer/exists",
  "layer/corrupt",
  "remote/unreachable",
  "remote/refused",
] as const;
const PULL_ERRORS = [...REMOTE_ERRORS, "layer/untrusted", "layer/too-large", "layer/build-failed"] as const;

/** Layers on their way to object storage and from it. */
export const REMOTE_ROUTES = {
  pushLayers: {
    method: "POST",
    path: "/v1/remote/push",
    summary: "Send layers to the object storage",
    body: pushBody,
    answers,
    errors: REMOTE_ERRORS,
  },
  pullLayers: {
    method: "POST",
    path: "/v1/remote/pull",
    summary: "Fetch layers from the object storage",
    body: pullBody,
    answers,
    errors: PULL_ERRORS,
  },
  syncLayers: {
    method: "POST",
    path: "/v1/remote/sync",
    summary: "Send what is not there, and fetch what is not here",
    body: syncBody,
    answers,
    errors: PULL_ERRORS,
  },
} as const satisfies Record<string, Route>;
