import type { Route } from "./route.ts";
import {
  createPortTokenBody,
  newPortTokenView,
  portList,
  portsQuery,
  portTokenList,
  portTokenParams,
  signedUrlView,
  signUrlBody,
} from "./schemas/port.ts";
import { sandboxParams } from "./schemas/sandbox.ts";

export const PORT_ROUTES = {
  listPorts: {
    method: "GET",
    path: "/v1/sandboxes/:ref/ports",
    summary: "TCP ports that something listens on; waits for one where asked to",
    params: sandboxParams,
    query: portsQuery,
    answers: { 200: { description: "By number", json: portList } },
    errors: [
      ...["sandbox/not-found", "sandbox/wrong-state", "sandbox/lost", "agent/protocol", "agent/unreachable"],
      "port/not-ready",
    ] as const,
  },
  createPortToken: {
    method: "POST",
    path: "/v1/sandboxes/:ref/port-tokens",
    summary: "Make a token that opens one port to whoever has it",
    params: sandboxParams,
    body: createPortTokenBody,
    answers: { 201: { description: "With the token, which is told this once", json: newPortTokenView } },
    errors: ["sandbox/not-found"],
  },
  listPortTokens: {
    method: "GET",
    path: "/v1/sandboxes/:ref/port-tokens",
    summary: "The port tokens of a sandbox",
    params: sandboxParams,
    answers: { 200: { description: "Oldest first, expired ones too", json: portTokenList } },
    errors: ["sandbox/not-found"],
  },
  revokePortToken: {
    method: "DELETE",
    path: "/v1/sandboxes/:ref/port-tokens/:token",
    summary: "Make a port token worthless",
    params: portTokenParams,
    answers: { 204: { description: "From now on it opens nothing" } },
    errors: ["sandbox/not-found", "port/token-not-found"],
  },
  signUrl: {
    method: "POST",
    path: "/v1/sandboxes/:ref/signed-urls",
    summary: "Make an address that opens a port for a time, to whoever has it",
    params: sandboxParams,
    body: signUrlBody,
    answers: { 201: { description: "Nothing of it is kept: it cannot be revoked", json: signedUrlView } },
    errors: ["sandbox/not-found"],
  },
} as const satisfies Record<string, Route>;

export type PortRoutes = typeof PORT_ROUTES;
