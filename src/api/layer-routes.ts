import type { Route } from "./route.ts";
import {
  buildDockerfileQuery,
  buildLayerQuery,
  buildProgress,
  captureBody,
  capturedLayer,
  layerList,
  layerParams,
  layerView,
  makePresetBody,
  pullLayerBody,
} from "./schemas/layer.ts";
import { errorBody } from "./schemas/system.ts";

const BUILD_ERRORS = ["layer/exists", "layer/too-large", "layer/build-failed", "host/missing"] as const;
const MADE = {
  200: {
    description: "How far it is, then the layer's manifest",
    events: { progress: buildProgress, layer: layerView, error: errorBody.shape.error },
  },
  201: { description: "The layer's manifest", json: layerView },
} as const satisfies Route["answers"];

/** Layers, and what makes them. */
export const LAYER_ROUTES = {
  listLayers: {
    method: "GET",
    path: "/v1/layers",
    summary: "All layers",
    answers: { 200: { description: "By name", json: layerList } },
    errors: [],
  },
  buildLayer: {
    method: "POST",
    path: "/v1/layers",
    summary: "Make a layer of the archive that is the body: a tree, or an image",
    query: buildLayerQuery,
    body: "bytes",
    answers: MADE,
    errors: ["layer/not-found", ...BUILD_ERRORS, "layer/corrupt", "file/bad-archive", "image/invalid"],
  },
  buildDockerfile: {
    method: "POST",
    path: "/v1/layers/dockerfile",
    summary: "Make a layer of the Dockerfile in the archive that is the body",
    query: buildDockerfileQuery,
    body: "bytes",
    answers: MADE,
    errors: [
      ...(["build/invalid", "build/unsupported", "build/step-failed", "layer/not-found", ...BUILD_ERRORS] as const),
      ...(["layer/corrupt", "file/bad-archive", "image/invalid", "image/pull-failed"] as const),
      ...(["sandbox/launch-failed", "sandbox/too-many"] as const),
    ],
  },
  pullLayer: {
    method: "POST",
    path: "/v1/layers/pull",
    summary: "Make a layer of an image in a registry",
    body: pullLayerBody,
    answers: MADE,
    errors: [...BUILD_ERRORS, "file/bad-archive", "image/invalid", "image/pull-failed"],
  },
  makePreset: {
    method: "POST",
    path: "/v1/layers/presets",
    summary: "Make a layer that Plybox knows, such as one of Debian's packages",
    body: makePresetBody,
    answers: MADE,
    errors: BUILD_ERRORS,
  },
  captureLayer: {
    method: "POST",
    path: "/v1/layers/sandboxes",
    summary: "Make a layer of what a sandbox has written",
    body: captureBody,
    answers: {
      200: { ...MADE[200], events: { ...MADE[200].events, layer: capturedLayer } },
      201: { description: "The layer's manifest, and how it was had", json: capturedLayer },
    },
    errors: [
      ...BUILD_ERRORS,
      "sandbox/not-found",
      "sandbox/wrong-state",
      "sandbox/lost",
      "checkpoint/not-found",
      "checkpoint/lost",
      "checkpoint/unsupported",
      "checkpoint/no-space",
      "checkpoint/packing-failed",
      "launcher/failed",
    ],
  },
  getLayer: {
    method: "GET",
    path: "/v1/layers/:layer",
    summary: "One layer's manifest",
    params: layerParams,
    answers: { 200: { description: "The manifest", json: layerView } },
    errors: ["layer/not-found", "layer/corrupt"],
  },
  removeLayer: {
    method: "DELETE",
    path: "/v1/layers/:layer",
    summary: "Remove a layer that no sandbox uses",
    params: layerParams,
    answers: { 204: { description: "Removed" } },
    errors: ["layer/not-found", "layer/in-use"],
  },
} as const satisfies Record<string, Route>;

export type LayerRoutes = typeof LAYER_ROUTES;
