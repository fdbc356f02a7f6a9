import { describe, expect, it, test } from "vitest";
import { requiredScope } from "./required-scope.ts";
import type { Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

describe("every route has a requirement of its own", () => {
  const routes = Object.entries<Route>(ROUTES).filter(([, route]) => route.open !== true);
  // What only the operator may do is named here one by one: a route that nobody has thought of would be among them.
  const FOR_THE_OPERATOR = new Set([
    "buildLayer",
    "buildDockerfile",
    "pullLayer",
    "makePreset",
    "captureLayer",
    "getStorage",
    "collectStorage",
    "removeLayer",
    "exportLayers",
    "importLayers",
    "addLayerSignature",
    "pushLayers",
    "pullLayers",
    "syncLayers",
    "listTenants",
    "getTenant",
    "setTenant",
    "getMetrics",
  ]);

  test.each(routes)("%s", (name, { method, path }) => {
    const isForOperator = requiredScope(method, path) === "operator";
    expect(isForOperator).toBe(FOR_THE_OPERATOR.has(name));
  });
});

it.each([
  ["GET", "/v1/sandboxes", "sandboxes:read"],
  ["POST", "/v1/sandboxes", "sandboxes:write"],
  ["GET", "/v1/sandboxes/:ref", "sandboxes:read"],
  ["DELETE", "/v1/sandboxes/:ref", "sandboxes:write"],
  ["POST", "/v1/sandboxes/:ref/exec", "exec"],
  ["GET", "/v1/sandboxes/:ref/execs/:exec/output", "exec"],
  ["GET", "/v1/sandboxes/:ref/files", "files:read"],
  ["HEAD", "/v1/sandboxes/:ref/files/content", "files:read"],
  ["PUT", "/v1/sandboxes/:ref/files/content", "files:write"],
  ["GET", "/v1/sandboxes/:ref/ports/:port/*", "ports"],
  ["POST", "/v1/keys", "admin"],
  ["GET", "/v1/audit", "admin"],
  ["PATCH", "/v1/tenants/:tenant", "operator"],
  ["GET", "/v1/version", "known"],
])("%s %s needs %s", (method, path, requirement) => {
  expect(requiredScope(method, path)).toBe(requirement);
});

it.each([
  ["POST", "/v1/sandboxes/:ref/whatever"],
  ["GET", "/v1/whatever"],
  ["GET", "/v2/sandboxes"],
  ["GET", "/"],
])("%s %s, which nobody has named, is closed", (method, path) => {
  expect(requiredScope(method, path)).toBe("operator");
});
