import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "hono";
import { Hono } from "hono";
import type { Accounts } from "../access/accounts.ts";
import type { UrlSigner } from "../access/signed-urls.ts";
import { ERRORS, PlyboxError } from "../model/errors.ts";
import type { Relay } from "../model/file-relay.ts";
import type { Principal } from "../model/principal.ts";
import { DEFAULT_TENANT } from "../model/principal.ts";
import type { ObservedRequest, ObservedResult, RequestObserver } from "../model/request-observer.ts";
import type { Agents } from "../sandbox/agents.ts";
import type { EventLog } from "../sandbox/events/event-log.ts";
import type { Commands } from "../sandbox/execs/commands.ts";
import { SandboxFiles } from "../sandbox/files/sandbox-files.ts";
import { Ports } from "../sandbox/ports/ports.ts";
import type { SandboxCheckpoints } from "../sandbox/sandbox-checkpoints.ts";
import type { SandboxComposition } from "../sandbox/sandbox-composition.ts";
import type { SandboxLifecycle } from "../sandbox/sandbox-lifecycle.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import type { UsageSampler } from "../sandbox/usage/usage-sampler.ts";
import type { Webhooks } from "../sandbox/webhooks/webhooks.ts";
import type { Access } from "./access.ts";
import { accessHandlers } from "./access-handlers.ts";
import { errorAnswer } from "./answers.ts";
import { readJson } from "./body.ts";
import { checkpointHandlers } from "./checkpoint-handlers.ts";
import { compositionHandlers } from "./composition-handlers.ts";
import { eventHandlers } from "./event-handlers.ts";
import { execHandlers } from "./exec-handlers.ts";
import { fileHandlers } from "./file-handlers.ts";
import { Gate } from "./gate.ts";
import type { DockerfileBuilds, Layers } from "./layer-handlers.ts";
import { layerHandlers } from "./layer-handlers.ts";
import { lifecycleHandlers } from "./lifecycle-handlers.ts";
import type { MetricsText } from "./metrics-handlers.ts";
import { metricsHandlers } from "./metrics-handlers.ts";
import { observe } from "./observe.ts";
import { parse } from "./parse.ts";
import { portHandlers } from "./port-handlers.ts";
import { readQuery } from "./query.ts";
import type { RemoteStore } from "./remote-handlers.ts";
import { remoteHandlers } from "./remote-handlers.ts";
import type { RightOfWay } from "./right-of-way.ts";
import type { Handler, Named, Route } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { sandboxHandlers } from "./sandbox-handlers.ts";
import type { Storage, Uppers } from "./storage-handlers.ts";
import { storageHandlers } from "./storage-handlers.ts";
import { systemHandlers } from "./system-handlers.ts";
import type { Transfer } from "./transfer-handlers.ts";
import { transferHandlers } from "./transfer-handlers.ts";
import { usageHandlers } from "./usage-handlers.ts";
import { webhookHandlers } from "./webhook-handlers.ts";

export interface ApiLog {
  error(detail: object, message: string): void;
}

export interface ApiOptions {
  readonly accounts: Accounts;
  readonly sandboxes: Sandboxes;
  readonly lifecycle: SandboxLifecycle;
  readonly checkpoints: SandboxCheckpoints;
  readonly composition: SandboxComposition;
  readonly layers: Layers & Storage;
  readonly builds: DockerfileBuilds;
  readonly transfer: Transfer;
  readonly remote: RemoteStore;
  readonly agents: Agents;
  readonly commands: Commands;
  readonly usage: UsageSampler;
  readonly uppers: Uppers;
  /** How ports are opened to those who have no account; `PORT-REF.domain` names a port where there is a domain. */
  readonly portAccess: { readonly signer: UrlSigner; readonly domain: string | null };
  readonly events: EventLog;
  readonly webhooks: Webhooks;
  readonly metrics: MetricsText;
  /** Who watches over every request. */
  readonly observers?: readonly RequestObserver[];
  /** What is asked for goes before what is streamed. */
  readonly rightOfWay: RightOfWay;
  /** Ends the streams of usage and events, which have no end of their own. */
  readonly closing?: AbortSignal;
  /** Of the daemon, such as `0.1.0`. */
  readonly version: string;
  /** Why sandboxes cannot be made now; empty when they can. */
  readonly ready: () => readonly string[] | Promise<readonly string[]>;
  readonly log: ApiLog;
  /** Carries the bytes of large files past this process; without it they pass through. */
  readonly relay?: Relay;
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
  const { sandboxes, layers, version, ready, rightOfWay, log } = options;
  const bodyBytes = options.bodyBytes ?? 1024 ** 2;
  const keepAliveMs = options.keepAliveMs ?? 15_000;
  const fail = errorMapper(log);
  const streams = { keepAliveMs, onUnknownError: fail, ...(options.closing && { closing: options.closing }) };
  const handlers = {
    ...systemHandlers({ version, ready }),
    ...sandboxHandlers(sandboxes, options.lifecycle),
    ...lifecycleHandlers(options.lifecycle),
    ...checkpointHandlers(options.checkpoints),
    ...compositionHandlers(options.composition),
    ...execHandlers({
      sandboxes,
      commands: options.commands,
      rightOfWay,
      collectBytes: options.collectBytes ?? 16 * 1024 ** 2,
      keepAliveMs,
      onUnknownError: fail,
    }),
    ...layerHandlers({ layers, builds: options.builds, checkpoints: options.checkpoints }, streams),
    ...transferHandlers(options.transfer),
    ...remoteHandlers(options.remote, streams),
    ...storageHandlers(layers, options.uppers),
    ...accessHandlers(options.accounts),
    ...portHandlers({
      ports: new Ports(options.agents),
      tokens: options.accounts.portTokens,
      ...options.portAccess,
    }),
    ...fileHandlers({ files: new SandboxFiles(options.agents), relay: options.relay, ...streams }),
    ...webhookHandlers(options.webhooks, sandboxes),
    ...metricsHandlers(options.metrics),
    ...eventHandlers({ events: options.events, sandboxes, ...streams }),
    ...usageHandlers({ sampler: options.usage, agents: options.agents, sandboxes, ...streams }),
  };
  const app: Api = new Hono();
  const gate = new Gate(options.accounts, sandboxes);
  const observers = observersOf(options);
  for (const [name, route] of Object.entries<Route>(ROUTES)) {
    // The literal types of table and handlers agree by `Handlers`; a loop over both cannot say so.
    const handler = handlers[name as keyof typeof handlers] as Handler<Route>;
    const served: Served = { action: name, route, handler, gate, bodyBytes, fail };
    app.on(route.method, route.path, (context) =>
      observe(observers, requestOf(context, served), (note) => serve(context, served, note)),
    );
  }
  app.notFound((context) => {
    context.env.access.check(context.env.incoming.headers.authorization);
    return notServed(context.req.path);
  });
  app.onError((error) => errorAnswer(fail(error)));
  return app;
}

/** Who watches over every request, also over one that leaves HTTP. */
export const observersOf = ({ observers = [], rightOfWay }: ApiOptions): readonly RequestObserver[] => [
  ...observers,
  rightOfWay,
];

/** One route, with what serves it. */
interface Served {
  /** The route's name, which is its operation id. */
  readonly action: string;
  readonly route: Route;
  readonly handler: Handler<Route>;
  readonly gate: Gate;
  readonly bodyBytes: number;
  readonly fail: (error: unknown) => PlyboxError;
}

/** Who asks on a route that is open to everybody. */
const ANYBODY: Principal = { tenant: DEFAULT_TENANT, name: "anybody", key: null, scopes: new Set(), isOperator: false };

const requestOf = ({ env, req }: ApiContext, { action, route }: Served): ObservedRequest => ({
  operation: action,
  method: req.method,
  path: route.path,
  header: (name) => env.incoming.headers[name]?.toString(),
});

/** A class of its own: a getter in a literal is made anew for each request. */
class CallSignal {
  readonly #raw: Request;

  constructor(raw: Request) {
    this.#raw = raw;
  }

  /** Made only where a handler asks for it. */
  get signal(): AbortSignal {
    return this.#raw.signal;
  }
}

/** Checks a request from the outside in: who asks, what for, with what. Nothing is read before the guard agreed. */
async function serve(context: ApiContext, served: Served, note: (result: ObservedResult) => void): Promise<Response> {
  const { action, route, handler, gate, bodyBytes, fail } = served;
  const { incoming, outgoing, access } = context.env;
  const errand = { action, method: context.req.method, path: route.path, incoming, access };
  let principal: Principal | undefined;
  let sandbox: string | undefined;
  let from: string | undefined;
  const record = (status: number, code?: string): void => {
    note({ status, code, sandbox, tenant: principal?.tenant });
    gate.record(errand, { status, principal, sandbox, from, code });
  };
  try {
    principal = route.open === true ? ANYBODY : gate.identify(errand);
    if (route.open !== true) gate.admit(principal, errand);
    if (incoming.method === "HEAD" && onlyEvents(route)) return notServed(context.req.path);
    const { raw } = context.req;
    const params = route.params && parse(route.params, context.req.param());
    const query = checkQuery(route, raw.url);
    // From here on the id: a name may mean another sandbox by the time the handler is done.
    if (params !== undefined && "ref" in params) {
      sandbox = gate.find(principal, String(params.ref)).id;
      Object.assign(params, { ref: sandbox });
    }
    const body =
      route.body && route.body !== "bytes" ? parse(route.body, await readJson(incoming, bodyBytes)) : undefined;
    const concerns = (named: Named): void => {
      ({ sandbox, from } = gate.idsOf(named, sandbox));
    };
    const checked = { principal, params, query, body, incoming, outgoing, concerns };
    const response = await handler(Object.assign(new CallSignal(raw), checked));
    record(response.status);
    return response;
  } catch (error) {
    const known = fail(error);
    record(ERRORS[known.code].http, known.code);
    return errorAnswer(known);
  }
}

const onlyEvents = (route: Route): boolean =>
  Object.values(route.answers).every(({ json, text, bytes }) =>
    [json, text, bytes].every((kind) => kind === undefined),
  );

function checkQuery(route: Route, url: string): Record<string, unknown> | undefined {
  if (route.query !== undefined) return parse(route.query, readQuery(url, route.query));
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
export function errorMapper(log: ApiLog): (error: unknown) => PlyboxError {
  return (error) => {
    if (!(error instanceof PlyboxError)) {
      log.error({ err: error }, "an unknown error");
      return new PlyboxError("internal", "something went wrong inside Plybox; its log says what");
    }
    if (ERRORS[error.code].http >= 500) log.error({ err: error }, error.message);
    return error;
  };
}
