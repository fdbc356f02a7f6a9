import { ACCESS_ROUTES } from "./access-routes.ts";
import { CHECKPOINT_ROUTES } from "./checkpoint-routes.ts";
import { COMPOSITION_ROUTES } from "./composition-routes.ts";
import { EVENT_ROUTES } from "./event-routes.ts";
import { FILE_ROUTES } from "./file-routes.ts";
import { LIFECYCLE_ROUTES } from "./lifecycle-routes.ts";
import { METRICS_ROUTES } from "./metrics-routes.ts";
import { PORT_ROUTES } from "./port-routes.ts";
import { REMOTE_ROUTES } from "./remote-routes.ts";
import type { Route } from "./route.ts";
import {
  endEvent,
  execBody,
  execList,
  execListQuery,
  execParams,
  execQuery,
  execResult,
  execStarted,
  execView,
  exitEvent,
  lostEvent,
  outputEvent,
  outputQuery,
  reachedEvent,
  signalBody,
  stdinQuery,
  terminalSize,
} from "./schemas/exec.ts";
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
import { getQuery, listQuery } from "./schemas/lifecycle.ts";
import { createSandboxBody, removeQuery, sandboxList, sandboxParams, sandboxView } from "./schemas/sandbox.ts";
import { collectBody, collection, storageUsage } from "./schemas/storage.ts";
import { anyJson, errorBody, health, ready, version } from "./schemas/system.ts";
import { TRANSFER_ROUTES } from "./transfer-routes.ts";
import { USAGE_ROUTES } from "./usage-routes.ts";
import { WEBHOOK_ROUTES } from "./webhook-routes.ts";

const EVENTS = {
  started: execStarted,
  output: outputEvent,
  lost: lostEvent,
  end: endEvent,
  exit: exitEvent,
  error: errorBody.shape.error,
};

/** What anything that asks a sandbox's agent can meet. */
const AGENT_ERRORS = [
  "sandbox/not-found",
  "sandbox/wrong-state",
  "sandbox/paused",
  "sandbox/lost",
  "agent/protocol",
  "agent/unreachable",
] as const;

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

const EXEC_ROUTES = {
  exec: {
    method: "POST",
    path: "/v1/sandboxes/:ref/exec",
    summary: "Run a command: collected, streamed or detached",
    params: sandboxParams,
    body: execBody,
    answers: {
      200: { description: "It ended; or its events while it runs", json: execResult, events: EVENTS },
      202: { description: "It runs, with `detach`", json: execStarted },
    },
    errors: [
      ...AGENT_ERRORS,
      "exec/exists",
      "exec/key-reused",
      "exec/unseen",
      "exec/program-not-found",
      "exec/not-executable",
      "exec/refused",
      "exec/output-replaced",
      "host/missing",
    ],
  },
  listExecs: {
    method: "GET",
    path: "/v1/sandboxes/:ref/execs",
    summary: "Commands that run and that have ended, a page at a time",
    params: sandboxParams,
    query: execListQuery,
    answers: { 200: { description: "Newest first", json: execList } },
    errors: ["sandbox/not-found", "agent/protocol", "agent/unreachable"],
  },
  getExec: {
    method: "GET",
    path: "/v1/sandboxes/:ref/execs/:exec",
    summary: "One command, at once or when it has ended",
    params: execParams,
    query: execQuery,
    answers: { 200: { description: "As it is now", json: execView } },
    errors: ["sandbox/not-found", "exec/not-found", "agent/protocol", "agent/unreachable", "aborted"],
  },
  forgetExec: {
    method: "DELETE",
    path: "/v1/sandboxes/:ref/execs/:exec",
    summary: "Forget a command that has ended, with its output",
    params: execParams,
    answers: { 204: { description: "Nothing is known of it any more" } },
    errors: ["sandbox/not-found", "exec/not-found", "exec/refused", "agent/protocol", "agent/unreachable"],
  },
  readOutput: {
    method: "GET",
    path: "/v1/sandboxes/:ref/execs/:exec/output",
    summary: "What a command writes, or has written, from given offsets on",
    params: execParams,
    query: outputQuery,
    answers: {
      200: {
        description: "Its events; or the bytes of one stream, with `stream`",
        events: { ...EVENTS, reached: reachedEvent },
        bytes: "application/octet-stream",
        headers: {
          "plybox-output-from": "With `stream`: the offset of the first byte that follows",
          "plybox-output-to": "Where the stream stood",
          "plybox-output-gone": "The bytes that were asked for and are no longer kept, such as 0-4096: [from, to)",
          "plybox-running": "Whether the command had not ended",
          "plybox-exit-code": "With which code it had, if it had exited",
          "plybox-exit-signal": "Which signal had ended it, if one had",
          "plybox-exit-limit": "Which limit had ended it, if one had",
        },
      },
    },
    errors: [...AGENT_ERRORS, "exec/not-found", "exec/refused", "exec/unseen"],
  },
  signalExec: {
    method: "POST",
    path: "/v1/sandboxes/:ref/execs/:exec/signal",
    summary: "Send a signal; harmless after the end",
    params: execParams,
    body: signalBody,
    answers: { 204: { description: "Sent" } },
    errors: [...AGENT_ERRORS, "exec/not-found", "exec/refused"],
  },
  resizeTerminal: {
    method: "POST",
    path: "/v1/sandboxes/:ref/execs/:exec/resize",
    summary: "Give a command's terminal another size",
    params: execParams,
    body: terminalSize,
    answers: { 204: { description: "It has it, and the command was told by SIGWINCH" } },
    errors: [...AGENT_ERRORS, "exec/not-found", "exec/refused"],
  },
  writeStdin: {
    method: "POST",
    path: "/v1/sandboxes/:ref/execs/:exec/stdin",
    summary: 'Feed the stdin of a command that was started with stdin "stream"',
    params: execParams,
    query: stdinQuery,
    body: "bytes",
    answers: { 204: { description: "The command's side has taken all of it" } },
    errors: [...AGENT_ERRORS, "exec/not-found", "exec/refused", "exec/output-replaced"],
  },
} as const satisfies Record<string, Route>;

const BUILD_ERRORS = ["layer/exists", "layer/too-large", "layer/build-failed", "host/missing"] as const;
const MADE = {
  200: {
    description: "How far it is, then the layer's manifest",
    events: { progress: buildProgress, layer: layerView, error: errorBody.shape.error },
  },
  201: { description: "The layer's manifest", json: layerView },
} as const satisfies Route["answers"];

const LAYER_ROUTES = {
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
export type ExecRoutes = typeof EXEC_ROUTES;
export type LayerRoutes = typeof LAYER_ROUTES;
export type StorageRoutes = typeof STORAGE_ROUTES;
