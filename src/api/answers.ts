import type { IncomingMessage } from "node:http";
import type { PlyboxError } from "../model/errors.ts";
import { ERRORS } from "../model/errors.ts";
import type { ErrorBody } from "./contract.ts";

const JSON_HEADERS = { "content-type": "application/json" };

/** Plain header records and string bodies: the server writes them without building a web `Response`. */
export const json = (status: number, value: object): Response =>
  new Response(JSON.stringify(value), { status, headers: JSON_HEADERS });

/** Whether a request asks for server-sent events instead of one answer. */
export const acceptsEvents = (incoming: IncomingMessage): boolean =>
  incoming.headers.accept?.includes("text/event-stream") === true;

export const noContent = (): Response => new Response(null, { status: 204 });

export function errorView(error: PlyboxError): ErrorBody["error"] {
  return {
    code: error.code,
    message: error.message,
    ...(error.field !== undefined && { field: error.field }),
    ...(error.line !== undefined && { line: error.line }),
    ...(error.step !== undefined && { step: error.step }),
    ...(error.errno !== undefined && { errno: error.errno }),
  };
}

export function errorAnswer(error: PlyboxError, headers: Readonly<Record<string, string>> = {}): Response {
  const { http, retry } = ERRORS[error.code];
  return new Response(JSON.stringify({ error: errorView(error) } satisfies ErrorBody), {
    status: http,
    headers: {
      ...JSON_HEADERS,
      ...(http === 401 && { "www-authenticate": "Bearer" }),
      ...(retry && (http === 429 || http === 503) && { "retry-after": retryAfter(error) }),
      ...headers,
    },
  });
}

/** Whole seconds, as the header wants them: one second where nobody knows better. */
const retryAfter = ({ retryAfterMs = 1000 }: PlyboxError): string =>
  String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
