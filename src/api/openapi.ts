import * as z from "zod";
import type { ErrorCode } from "../model/errors.ts";
import { ERRORS } from "../model/errors.ts";
import type { Answer, Route } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { eventList, eventView } from "./schemas/event.ts";
import { execBody, execList, execResult, execStarted, signalBody } from "./schemas/exec.ts";
import { layerList, layerView } from "./schemas/layer.ts";
import { createSandboxBody, sandboxList, sandboxView } from "./schemas/sandbox.ts";
import { errorBody, health, ready, version } from "./schemas/system.ts";
import { processList, usageList, usageView } from "./schemas/usage.ts";
import { createWebhookBody, newWebhookView, webhookList, webhookView } from "./schemas/webhook.ts";

type Json = Record<string, unknown>;

/** Schemas that the document names; others are written where they are used. */
const COMPONENTS = {
  CreateSandbox: createSandboxBody,
  Sandbox: sandboxView,
  SandboxList: sandboxList,
  Exec: execBody,
  ExecResult: execResult,
  ExecStarted: execStarted,
  ExecList: execList,
  Signal: signalBody,
  Layer: layerView,
  LayerList: layerList,
  Usage: usageView,
  UsageList: usageList,
  ProcessList: processList,
  Event: eventView,
  EventList: eventList,
  CreateWebhook: createWebhookBody,
  Webhook: webhookView,
  NewWebhook: newWebhookView,
  WebhookList: webhookList,
  Health: health,
  Ready: ready,
  Version: version,
  Error: errorBody,
} as const;

const STYLE = {
  /** Closes what is strict and nothing else. */
  io: "input" as const,
  /** That a whole number is one that JavaScript can count to goes without saying. */
  override({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    // In a query bytes are percent-encoded, whatever the handler gets.
    if (jsonSchema.verbatim === true) {
      delete jsonSchema.verbatim;
      delete jsonSchema.anyOf;
      jsonSchema.type = "string";
    }
  },
};

const component = (name: string): string => `#/components/schemas/${name}`;

/** Codes that a route can answer whatever it does. */
function sharedErrors(route: Route): readonly ErrorCode[] {
  return [
    "input/invalid",
    ...(route.body !== undefined && route.body !== "bytes" ? (["input/too-large"] as const) : []),
    ...(route.open === true ? [] : (["auth/missing", "auth/refused"] as const)),
    "daemon/stopping",
    "internal",
  ];
}

/** The OpenAPI 3.1 document of the route table. */
export function openApiDocument(daemonVersion: string): Json {
  const paths: Record<string, Json> = {};
  for (const [operationId, route] of Object.entries<Route>(ROUTES)) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(operationId, route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Plybox API",
      version: daemonVersion,
      description: "Sandboxes made of plies. Errors carry a stable code.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    paths,
    components: { schemas: componentSchemas(), securitySchemes: { bearer: BEARER } },
  };
}

const BEARER = { type: "http", scheme: "bearer", description: "Needed on TCP; a Unix socket is guarded by its mode." };

function componentSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(COMPONENTS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { ...STYLE, uri: component });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, embedded(schema)]));
}

/** A schema inside the document has neither a dialect nor an address of its own. */
function embedded(schema: object): Json {
  const { $schema: _dialect, $id: _address, ...rest } = schema as Json;
  return rest;
}

function schemaOf(schema: z.ZodType): Json {
  const named = Object.entries(COMPONENTS).find(([, each]) => (each as z.ZodType) === schema);
  return named === undefined ? embedded(z.toJSONSchema(schema, STYLE)) : { $ref: component(named[0]) };
}

function operation(operationId: string, route: Route): Json {
  const parameters = [...parametersOf("path", route.params), ...parametersOf("query", route.query)];
  return {
    operationId,
    summary: route.summary,
    tags: [route.path.split("/")[2] ?? "document"],
    ...(route.open === true && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body !== undefined && { requestBody: requestBody(route.body) }),
    responses: { ...answersOf(route), ...errorsOf(route) },
  };
}

function parametersOf(place: "path" | "query", schema: z.ZodObject | undefined): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => {
    const { description, ...rest } = schemaOf(field as z.ZodType);
    return { name, in: place, required: place === "path", description, schema: rest };
  });
}

const requestBody = (body: z.ZodType | "bytes"): Json => ({
  required: true,
  content: body === "bytes" ? { "application/octet-stream": {} } : { "application/json": { schema: schemaOf(body) } },
});

const answersOf = (route: Route): Json =>
  Object.fromEntries(
    Object.entries(route.answers).map(([status, answer]) => [
      status,
      {
        description: answer.description,
        ...(answer.headers !== undefined && { headers: headersOf(answer.headers) }),
        ...(hasContent(answer) && { content: contentOf(answer) }),
      },
    ]),
  );

const headersOf = (headers: Readonly<Record<string, string>>): Json =>
  Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );

const hasContent = (answer: Answer): boolean =>
  [answer.json, answer.text, answer.bytes, answer.events].some((content) => content !== undefined);

function contentOf({ json, text, bytes, lines, events }: Answer): Json {
  return {
    ...(bytes !== undefined && { [bytes]: {} }),
    ...(lines !== undefined && { "application/x-ndjson": { schema: schemaOf(lines) } }),
    ...(text !== undefined && { [text]: { schema: { type: "string" } } }),
    ...(json !== undefined && { "application/json": { schema: schemaOf(json) } }),
    ...(events !== undefined && { "text/event-stream": eventContent(events) }),
  };
}

/** OpenAPI 3.1 has no word for the events of a stream: an extension names each event's JSON. */
const eventContent = (events: Readonly<Record<string, z.ZodType>>): Json => ({
  schema: { type: "string", description: "Server-sent events; x-events gives each one's data." },
  "x-events": Object.fromEntries(Object.entries(events).map(([name, schema]) => [name, schemaOf(schema)])),
});

/** Errors of one status share a response, whose description lists their codes. */
function errorsOf(route: Route): Json {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of [...sharedErrors(route), ...route.errors]) {
    const status = ERRORS[code].http;
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus]
      .filter(([status]) => !(status in route.answers))
      .map(([status, codes]) => [
        status,
        {
          description: codes.join(", "),
          content: { "application/json": { schema: { $ref: component("Error") } } },
        },
      ]),
  );
}
