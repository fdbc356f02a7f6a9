import type { IncomingMessage, ServerResponse } from "node:http";
import type * as z from "zod";
import type { ErrorCode } from "../model/errors.ts";
import type { Principal } from "../model/principal.ts";

/** What a route answers with one status. */
export interface Answer {
  readonly description: string;
  /** JSON of this shape; no body where absent. */
  readonly json?: z.ZodType;
  /** Text of this media type instead of JSON. */
  readonly text?: string;
  /** Raw bytes of this media type. */
  readonly bytes?: string;
  /** One object of this shape a line, where the request accepts `application/x-ndjson`. */
  readonly lines?: z.ZodType;
  /** Its headers of our own, each with what it says. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Server-sent events instead, where the request accepts `text/event-stream`, or always where there is no JSON. */
  readonly events?: Readonly<Record<string, z.ZodType>>;
}

/** One route of the contract: what serves it, what checks it and what documents it read the same value. */
export interface Route {
  readonly method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  /** Hono's notation: `:ref` is one segment. */
  readonly path: `/${string}`;
  readonly summary: string;
  /** Served to a request without a token, too. */
  readonly open?: true;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** A JSON body of this shape, or raw bytes that the handler reads from the connection. */
  readonly body?: z.ZodType | "bytes";
  readonly answers: Readonly<Record<number, Answer>>;
  /** Codes of this route's own; those that every route has are `SHARED_ERRORS`. */
  readonly errors: readonly ErrorCode[];
}

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** What a request names beside its path: sandboxes by id or name, the second a checkpoint perhaps. */
export interface Named {
  readonly sandbox?: string;
  /** Whose changes go into that one. */
  readonly from?: string;
}

/** A request of route `R`, checked. */
export interface Call<R extends Route> {
  readonly principal: Principal;
  readonly params: Parsed<R["params"]>;
  readonly query: Parsed<R["query"]>;
  readonly body: Parsed<R["body"]>;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** Tells the audit log which sandboxes this is about, where the path does not. */
  readonly concerns: (named: Named) => void;
  /** Aborts when the client goes away before it has its answer. */
  readonly signal: AbortSignal;
}

export type Handler<R extends Route> = (call: Call<R>) => Response | Promise<Response>;
export type Handlers<Routes extends Record<string, Route>> = { readonly [Name in keyof Routes]: Handler<Routes[Name]> };
