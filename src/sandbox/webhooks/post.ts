import type { IncomingMessage } from "node:http";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

export interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What became of one attempt; `ok` where the receiver answered 2xx. */
export interface Attempt {
  readonly ok: boolean;
  /** Null where there was no answer. */
  readonly status: number | null;
  /** In words; null where it is ok. */
  readonly problem: string | null;
  /** When the receiver wants to be asked again, at the earliest; null where it did not say. */
  readonly retryAfterMs: number | null;
}

/** Sends a body once. A redirect is an answer like any other and not followed. Never rejects. */
export async function post(url: string, body: string, { headers, timeoutMs, signal }: PostOptions): Promise<Attempt> {
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await send(url, body, headers, AbortSignal.any([signal, late]));
    // What it says is of no interest, and may be without end.
    answer.on("error", () => {});
    answer.destroy();
    return attemptOf(answer);
  } catch (error) {
    const problem = late.aborted ? `no answer in ${timeoutMs.toLocaleString("en")} ms` : describe(error);
    return { ok: false, status: null, problem, retryAfterMs: null };
  }
}

function send(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const request = url.startsWith("https:") ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers, signal, agent: false }, resolve);
    sent.on("error", reject);
    sent.end(body);
  });
}

function attemptOf({ statusCode = 0, headers }: IncomingMessage): Attempt {
  const ok = statusCode >= 200 && statusCode < 300;
  const isRedirect = statusCode >= 300 && statusCode < 400;
  const problem = `HTTP ${statusCode}${isRedirect ? ", and redirects are not followed" : ""}`;
  const seconds = /^\d{1,6}$/.exec(headers["retry-after"] ?? "")?.[0];
  return {
    ok,
    status: statusCode,
    problem: ok ? null : problem,
    retryAfterMs: seconds === undefined ? null : Number(seconds) * 1000,
  };
}

function describe(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : `${message} (${code})`.slice(0, 300);
}
