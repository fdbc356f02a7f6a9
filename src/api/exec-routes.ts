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
import { sandboxParams } from "./schemas/sandbox.ts";
import { errorBody } from "./schemas/system.ts";

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

/** Commands of a sandbox. */
export const EXEC_ROUTES = {
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

export type ExecRoutes = typeof EXEC_ROUTES;
