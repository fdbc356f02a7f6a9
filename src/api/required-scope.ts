import type { Scope } from "../model/principal.ts";

/** What a request needs: a scope, to run this daemon, or nothing but to be known. */
export type Requirement = Scope | "operator" | "known";

const OF_SANDBOX: Readonly<Record<string, readonly [reads: Scope, writes: Scope]>> = {
  "": ["sandboxes:read", "sandboxes:write"],
  usage: ["sandboxes:read", "sandboxes:read"],
  processes: ["sandboxes:read", "sandboxes:read"],
  exec: ["exec", "exec"],
  execs: ["exec", "exec"],
  terminal: ["exec", "exec"],
  files: ["files:read", "files:write"],
  ports: ["ports", "ports"],
  "port-tokens": ["ports", "ports"],
  "signed-urls": ["ports", "ports"],
  dial: ["ports", "ports"],
  pause: ["sandboxes:write", "sandboxes:write"],
  resume: ["sandboxes:write", "sandboxes:write"],
  start: ["sandboxes:write", "sandboxes:write"],
  stop: ["sandboxes:write", "sandboxes:write"],
  restart: ["sandboxes:write", "sandboxes:write"],
  extend: ["sandboxes:write", "sandboxes:write"],
  layers: ["sandboxes:write", "sandboxes:write"],
  checkpoints: ["sandboxes:read", "sandboxes:write"],
  diff: ["sandboxes:write", "sandboxes:write"],
  fork: ["sandboxes:write", "sandboxes:write"],
  restore: ["sandboxes:write", "sandboxes:write"],
  merge: ["sandboxes:write", "sandboxes:write"],
  undo: ["sandboxes:write", "sandboxes:write"],
};

const OF_AREA: Readonly<Record<string, readonly [reads: Requirement, writes: Requirement]>> = {
  ready: ["known", "operator"],
  version: ["known", "operator"],
  usage: ["sandboxes:read", "operator"],
  events: ["events", "operator"],
  webhooks: ["events", "events"],
  checkpoints: ["sandboxes:read", "sandboxes:write"],
  layers: ["layers:read", "operator"],
  remote: ["operator", "operator"],
  "layer-archive": ["operator", "operator"],
  storage: ["operator", "operator"],
  keys: ["admin", "admin"],
  audit: ["admin", "operator"],
  tenants: ["operator", "operator"],
};

/** What a request of this method needs at this path, such as `/v1/sandboxes/:ref/files`. What is not named is closed. */
export function requiredScope(method: string, path: string): Requirement {
  const index = method === "GET" || method === "HEAD" ? 0 : 1;
  if (path === "/openapi.json") return "known";
  const [, version, area = "", , part = ""] = path.split("/");
  if (version !== "v1") return "operator";
  if (area === "sandboxes") return OF_SANDBOX[part]?.[index] ?? "operator";
  return OF_AREA[area]?.[index] ?? "operator";
}
