import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Route } from "../../src/api/route.ts";
import { ROUTES } from "../../src/api/routes.ts";
import type { ErrorCode } from "../../src/model/errors.ts";
import { ERRORS } from "../../src/model/errors.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";
import { send } from "../support/http.ts";

interface Operation {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: { readonly content: Record<string, object> };
  readonly responses: Record<string, { readonly description: string; readonly content?: Record<string, object> }>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, { readonly additionalProperties?: unknown }> };
}

let api: ApiSubject;
let document: Document;

beforeAll(async () => {
  api = await startApi();
  document = (await send(api, { path: "/openapi.json" })).json<Document>();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const routes = Object.entries<Route>(ROUTES);
const operationOf = ({ path, method }: Route): Operation | undefined =>
  document.paths[path.replaceAll(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()];

describe("the OpenAPI document", () => {
  it("is OpenAPI 3.1 by that version's own schema", async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(document) as unknown as Record<string, unknown>);
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(validator.version).toBe("3.1");
  });

  it("has every route of the table and no other", () => {
    const documented = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(documented.sort()).toEqual(Object.keys(ROUTES).sort());
  });

  it("refers only to what it holds", () => {
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1] ?? "");
    expect(references.length).toBeGreaterThan(0);
    expect(references.filter((name) => !(name in document.components.schemas))).toEqual([]);
    expect(text.match(/"\$ref":"(?!#\/components\/schemas\/)/)).toBeNull();
  });

  it("closes what it takes and leaves open what it gives", () => {
    const { schemas } = document.components;
    for (const name of ["CreateSandbox", "Exec", "Signal"]) expect(schemas[name]?.additionalProperties).toBe(false);
    for (const name of ["Sandbox", "ExecResult", "Layer", "Error"]) {
      expect(schemas[name]).not.toHaveProperty("additionalProperties");
    }
  });
});

describe.each(routes)("%s", (name, route) => {
  it("is documented under its path and method", () => {
    expect(operationOf(route)?.operationId).toBe(name);
  });

  it("is served", async () => {
    const { text, status } = await send(api, { method: route.method, path: route.path.replaceAll(/:\w+/g, "none") });
    expect(text).not.toMatch(/^\{"error":\{"code":"route\//);
    expect(status).toBeLessThan(500);
  });

  it("asks for a token exactly where the document says so", async () => {
    const { status } = await send(api, { method: route.method, path: route.path, via: "tcp" });
    const isOpen = operationOf(route)?.security?.length === 0;
    expect(status === 401).toBe(!isOpen);
  });

  it("documents its parameters, its body and every code that it names", () => {
    const operation = operationOf(route);
    const parameters = [...Object.keys(route.params?.shape ?? {}), ...Object.keys(route.query?.shape ?? {})];
    expect((operation?.parameters ?? []).map((parameter) => parameter.name)).toEqual(parameters);
    expect(operation?.requestBody !== undefined).toBe(route.body !== undefined);
    for (const status of Object.keys(route.answers)) expect(operation?.responses[status]).toBeDefined();
    for (const code of route.errors) {
      expect(operation?.responses[ERRORS[code].http]?.description.split(", ")).toContain(code satisfies ErrorCode);
    }
  });
});
