import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "hono";
import { Hono } from "hono";
import { ERRORS, PlyboxError } from "../model/errors.ts";
import { LOCAL } from "../model/principal.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import type { Access } from "./access.ts";
import { errorAnswer } from "./answers.ts";
import { readJson } from "./body.ts";
import { execHandlers } from "./exec-handlers.ts";
import type { Layers } from "./layer-handlers.ts";
import { layerHandlers } from "./layer-handlers.ts";
import { parse } from "./parse.ts";
import { readQuery } from "./query.ts";
import type { Call, Handler, Route } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { sandboxHandlers } from "./sandbox-handlers.ts";
import { systemHandlers } from "./system-handlers.ts";

export interface ApiLog {
  error(detail: object, message: string): void;
}

export interface ApiOptions {
  readonly sandboxes: Sandboxes;
  readonly layers: Layers;
  /** Of the daemon, such as `0.1.0`. */
  readonly version: string;
  /** Why sandboxes cannot be made now; empty when they can. */
  readonly ready: () => readonly string[] | Promise<readonly string[]>;
  readonly log: ApiLog;
  /** Largest JSON body, in bytes; 1 MiB by default. */
  readonly bodyBytes?: number;
  /** Output that a collected exec answers with, in bytes of both streams together; 16 MiB by default. */
  readonly collectBytes?: number;
  /** Silence on an event stream after which a comment is sent; 15,000 by default. */
  readonly keepAliveMs?: number;
}

/** What a listener gives with each request. */
export interface ApiBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** The listener's guard. */
  readonly access: Access;
}

type ApiContext = Context<{ Bindings: ApiBindings }>;
export type Api = Hono<{ Bindings: ApiBindings }>;

/** API v1 as a Hono app; `createApiServer` serves it. */
export function createApi(options: ApiOptions): Api {
  const { sandboxes, layers, version, ready, log } = options;
  const bodyBytes = options.bodyBytes ?? 1024 ** 2;
  const fail = errorMapper(log);
  const handlers = {
    ...systemHandlers({ version, ready }),
    ...sandboxHandlers(sandboxes),
    ...execHandlers({
      sandboxes,
      collectBytes: options.collectBytes ?? 16 * 1024 ** 2,
      keepAliveMs: options.keepAliveMs ?? 15_000,
      onUnknownError: fail,
    }),
    ...layerHandlers(layers),
  };
  const app: Api = new Hono();
  for (const [name, route] of Object.entries<Route>(ROUTES)) {
    // The literal types of table and handlers agree by `Handlers`; a loop over both cannot say so.
    const handler = handlers[name as keyof typeof handlers] as Handler<Route>;
    app.on(route.method, route.path, (context) => serve(context, route, handler, bodyBytes));
  }
  app.notFound((context) => {
    context.env.access.check(context.env.incoming.headers.authorization);
    return notServed(context.req.path);
  });
  app.onError((error) => errorAnswer(fail(error)));
  return app;
}

/** Checks a request from the outside in: who asks, what for, with what. Nothing is read before the guard agreed. */
async function serve(context: ApiContext, route: Route, handler: Handler<Route>, bodyBytes: number): Promise<Response> {
  const { incoming, outgoing, access } = context.env;
  const principal = route.open === true ? LOCAL : access.check(incoming.headers.authorization);
  if (incoming.method === "HEAD" && onlyEvents(route)) return notServed(context.req.path);
  const { raw } = context.req;
  const call = {
    principal,
    params: route.params && parse(route.params, context.req.param()),
    query: checkQuery(route, raw.url),
    body: route.body && route.body !== "bytes" ? parse(route.body, await readJson(incoming, bodyBytes)) : undefined,
    incoming,
    outgoing,
    // Made only where a handler asks for it.
    get signal() {
      return raw.signal;
    },
  };
  return await handler(call as Call<Route>);
}

const onlyEvents = (route: Route): boolean => Object.values(route.answers).every((answer) => answer.json === undefined);

function checkQuery(route: Route, url: string): unknown {
  if (route.query !== undefined) return parse(route.query, readQuery(url));
  const [field] = url.includes("?") ? Object.keys(readQuery(url)) : [];
  if (field !== undefined) throw new PlyboxError("input/invalid", `${field} is not a field`, { field });
  return undefined;
}

/** 405 with the methods that the path has, or 404. */
function notServed(path: string): Response {
  const allowed = Object.values<Route>(ROUTES).filter((route) => matches(route.path, path));
  if (allowed.length === 0) return errorAnswer(new PlyboxError("route/not-found", `nothing is served at ${path}`));
  const allow = allowed.map((route) => route.method).join(", ");
  return errorAnswer(new PlyboxError("route/method-not-allowed", `${path} takes ${allow}`), { allow });
}

const matches = (pattern: string, path: string): boolean =>
  new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/]+")}$`).test(path);

/** The one place where an error becomes what a client sees: what is not ours is told to the log alone. */
function errorMapper(log: ApiLog): (error: unknown) => PlyboxError {
  return (error) => {
    if (!(error instanceof PlyboxError)) {
      log.error({ err: error }, "an unknown error");
      return new PlyboxError("internal", "something went wrong inside Plybox; its log says what");
    }
    if (ERRORS[error.code].http >= 500) log.error({ err: error }, error.message);
    return error;
  };
}
