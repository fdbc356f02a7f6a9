import type { Route } from "./route.ts";
import {
  checkpointBody,
  checkpointList,
  checkpointParams,
  checkpointView,
  diffQuery,
  diffView,
  forkBody,
  forkPointBody,
  forkView,
  mergeBody,
  mergeView,
  packBody,
  restoreBody,
  restoredView,
  takenView,
  timelineView,
  undoBody,
} from "./schemas/checkpoint.ts";
import { sandboxParams } from "./schemas/sandbox.ts";

/** What anything that asks for a point of a sandbox can meet. */
const POINT_ERRORS = ["sandbox/not-found", "checkpoint/unsupported"] as const;
const CHANGE_ERRORS = [
  ...POINT_ERRORS,
  "sandbox/wrong-state",
  "sandbox/paused",
  "sandbox/lost",
  "checkpoint/no-space",
  "launcher/failed",
] as const;
/** What new sandboxes can meet. */
const FORK_ERRORS = [
  "checkpoint/packing-failed",
  "checkpoint/lost",
  "checkpoint/no-space",
  "sandbox/name-taken",
  "sandbox/too-many",
  "sandbox/launch-failed",
  "layer/not-found",
  "layer/corrupt",
  "launcher/failed",
  "agent/unreachable",
] as const;
const RESTORE_ERRORS = [
  ...CHANGE_ERRORS,
  "checkpoint/packing-failed",
  "checkpoint/lost",
  "checkpoint/unfit",
  "sandbox/launch-failed",
  "agent/unreachable",
] as const;

export const CHECKPOINT_ROUTES = {
  createCheckpoint: {
    method: "POST",
    path: "/v1/sandboxes/:ref/checkpoints",
    summary: "Keep what a sandbox has written by now, while its commands go on",
    params: sandboxParams,
    body: checkpointBody,
    answers: { 201: { description: "It is kept", json: takenView } },
    errors: [...CHANGE_ERRORS, "checkpoint/name-taken"],
  },
  getTimeline: {
    method: "GET",
    path: "/v1/sandboxes/:ref/checkpoints",
    summary: "What a sandbox can go back to",
    params: sandboxParams,
    answers: { 200: { description: "Its time line", json: timelineView } },
    errors: [...POINT_ERRORS],
  },
  diffSandbox: {
    method: "GET",
    path: "/v1/sandboxes/:ref/diff",
    summary: "What differs between two points of a sandbox",
    params: sandboxParams,
    query: diffQuery,
    answers: { 200: { description: "The changes", json: diffView } },
    errors: [
      ...[...CHANGE_ERRORS, "checkpoint/not-found", "checkpoint/lost", "checkpoint/unfit"],
      "checkpoint/packing-failed",
    ],
  },
  forkSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/fork",
    summary: "Make sandboxes that begin with what this one holds, now or at a checkpoint",
    params: sandboxParams,
    body: forkBody,
    answers: { 201: { description: "They run", json: forkView } },
    errors: [...POINT_ERRORS, "sandbox/wrong-state", "sandbox/lost", "checkpoint/not-found", ...FORK_ERRORS],
  },
  restoreSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/restore",
    summary: "Put a sandbox back to a checkpoint; its commands are ended, and it starts again",
    params: sandboxParams,
    body: restoreBody,
    answers: { 200: { description: "It holds what the checkpoint holds", json: restoredView } },
    errors: [...RESTORE_ERRORS, "checkpoint/not-found"],
  },
  mergeSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/merge",
    summary: "Bring into a sandbox what another, such as a fork of it, has changed",
    params: sandboxParams,
    body: mergeBody,
    answers: { 200: { description: "What was done, or why nothing was", json: mergeView } },
    errors: [...RESTORE_ERRORS, "checkpoint/not-found", "checkpoint/unrelated", "file/no-space", "layer/too-large"],
  },
  undoSandbox: {
    method: "POST",
    path: "/v1/sandboxes/:ref/undo",
    summary: "Put a sandbox back to the checkpoint before",
    params: sandboxParams,
    body: undoBody,
    answers: { 200: { description: "It holds what the checkpoint holds", json: restoredView } },
    errors: [...RESTORE_ERRORS, "checkpoint/none"],
  },
  listCheckpoints: {
    method: "GET",
    path: "/v1/checkpoints",
    summary: "All checkpoints, also of sandboxes that are gone",
    answers: { 200: { description: "Oldest first", json: checkpointList } },
    errors: [],
  },
  getCheckpoint: {
    method: "GET",
    path: "/v1/checkpoints/:checkpoint",
    summary: "One checkpoint",
    params: checkpointParams,
    answers: { 200: { description: "As it is", json: checkpointView } },
    errors: ["checkpoint/not-found"],
  },
  forkCheckpoint: {
    method: "POST",
    path: "/v1/checkpoints/:checkpoint/fork",
    summary: "Make sandboxes that begin with what a checkpoint holds",
    params: checkpointParams,
    body: forkPointBody,
    answers: { 201: { description: "They run", json: forkView } },
    errors: ["checkpoint/not-found", ...FORK_ERRORS],
  },
  packCheckpoint: {
    method: "POST",
    path: "/v1/checkpoints/:checkpoint/pack",
    summary: "Pack a checkpoint into a file, which makes room in its pool",
    params: checkpointParams,
    body: packBody,
    answers: { 200: { description: "It is packed", json: checkpointView } },
    errors: [
      ...["checkpoint/not-found", "checkpoint/lost", "checkpoint/no-space", "checkpoint/packing-failed"],
      ...["host/missing", "launcher/failed"],
    ],
  },
  removeCheckpoint: {
    method: "DELETE",
    path: "/v1/checkpoints/:checkpoint",
    summary: "Remove a checkpoint; what was made from it stays",
    params: checkpointParams,
    answers: { 204: { description: "Removed" } },
    errors: ["checkpoint/not-found", "launcher/failed"],
  },
} as const satisfies Record<string, Route>;

export type CheckpointRoutes = typeof CHECKPOINT_ROUTES;
