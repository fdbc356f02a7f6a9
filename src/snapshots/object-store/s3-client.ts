import { createHash } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { AwsV4Signer } from "aws4fetch";
import { PlyboxError } from "../../model/errors.ts";
import type { CredentialSource } from "./credentials.ts";
import { readCredentials } from "./credentials.ts";
import { textOf } from "./xml.ts";

export interface S3Options {
  /** Such as `https://s3.eu-central-1.amazonaws.com`; buckets are the first part of the path. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly credentials: CredentialSource;
  /** Of the first pause before a repetition; each next one is twice as long. 200 by default. */
  readonly retryMs?: number;
  /** How long a server may say nothing before it is asked again; 30,000 by default. */
  readonly stallMs?: number;
}

/** One request; what a server answers is looked at by whoever asks. */
export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal?: AbortSignal | undefined;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** An answer whose body is still coming. */
interface OpenAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly chunks: AsyncGenerator<Buffer>;
}

const MOST_ATTEMPTS = 6;
const LONGEST_PAUSE_MS = 5000;
/** Of an answer that is no object: a page of a list has 1,000 keys. */
const MOST_ANSWER_BYTES = 8 * 1024 * 1024;
const SLOWEST_BYTES_PER_MS = 64;
const EMPTY = Buffer.alloc(0);
const PASSING: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
/** What is told of a request that was damaged on its way, or met another one. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  ...["RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"],
  ...["ConditionalRequestConflict", "OperationAborted", "RequestTimeTooSkewed"],
  // Also where a status was sent before it was known.
  ...["InternalError", "ServiceUnavailable", "SlowDown"],
]);

/** A failure that may not come again. */
export class PassingFailure extends Error {}

/** Signs requests, sends them, and sends them again while that may help. */
export class S3Client {
  readonly #options: S3Options;
  readonly #retryMs: number;
  readonly #stallMs: number;

  constructor(options: S3Options) {
    this.#options = options;
    this.#retryMs = options.retryMs ?? 200;
    this.#stallMs = options.stallMs ?? 30_000;
  }

  /**
   * Sends a request until it is answered by other than a passing failure.
   * @param taken statuses that the caller knows what to do with
   */
  async send(request: S3Request, taken: readonly number[]): Promise<S3Answer> {
    return await this.persist(request.signal, async () => {
      const { status, headers, chunks } = await this.open(request);
      const pieces: Buffer[] = [];
      let length = 0;
      for await (const piece of chunks) {
        length += piece.length;
        if (length > MOST_ANSWER_BYTES) throw refused(`${request.key} was answered with more than was asked for`);
        pieces.push(piece);
      }
      const answer = { status, headers, body: Buffer.concat(pieces) };
      if (!taken.includes(status)) throw failureOf(request, answer);
      return answer;
    });
  }

  /**
   * Repeats what fails in passing, with pauses that grow.
   * @param attempt says by `progressed` that it got somewhere, and begins to count anew
   */
  async persist<T>(signal: AbortSignal | undefined, attempt: (progressed: () => void) => Promise<T>): Promise<T> {
    for (let failures = 0; ; ) {
      try {
        return await attempt(() => {
          failures = 0;
        });
      } catch (error) {
        if (signal?.aborted) throw new PlyboxError("aborted", "the transfer was aborted", { cause: signal.reason });
        if (!(error instanceof PassingFailure)) throw error;
        failures++;
        if (failures >= MOST_ATTEMPTS) throw unreachable(this.#options, error);
      }
      const pause = Math.min(this.#retryMs * 2 ** failures, LONGEST_PAUSE_MS);
      // Many that failed together do not come back together.
      await wait(pause * (0.5 + Math.random() / 2), undefined, signal && { signal }).catch(() => {});
    }
  }

  /** Sends a request once. Throws PassingFailure when there is no answer, or it breaks off while it is read. */
  async open(request: S3Request): Promise<OpenAnswer> {
    const { method, body, signal } = request;
    const { url, headers } = await this.#sign(request);
    const stalled = new AbortController();
    // What is sent counts for nothing that is heard, so it has time of its own.
    const watch = new Watch(this.#stallMs + (body?.length ?? 0) / SLOWEST_BYTES_PER_MS, stalled);
    const signals = signal === undefined ? stalled.signal : AbortSignal.any([stalled.signal, signal]);
    try {
      const response = await fetch(url, {
        ...{ method, headers, signal: signals, redirect: "manual" },
        ...(body !== undefined && { body }),
      });
      return { status: response.status, headers: response.headers, chunks: chunksOf(response, watch) };
    } catch (cause) {
      watch.end();
      throw passing(cause);
    }
  }

  async #sign({
    method,
    key,
    query = {},
    headers = {},
    body = EMPTY,
  }: S3Request): Promise<{ url: string; headers: Headers }> {
    const { endpoint, bucket, region, credentials } = this.#options;
    const url = new URL(`${endpoint.replace(/\/+$/, "")}/${bucket}${key === "" ? "" : `/${key}`}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const { accessKeyId, secretAccessKey, sessionToken } = await readCredentials(credentials);
    const signed = await new AwsV4Signer({
      ...{ method, url: url.href, region, service: "s3", accessKeyId, secretAccessKey },
      ...(sessionToken !== undefined && { sessionToken }),
      // The server refuses a body that is not what was signed.
      headers: { ...headers, "x-amz-content-sha256": createHash("sha256").update(body).digest("hex") },
    }).sign();
    signed.headers.set("accept-encoding", "identity");
    return { url: signed.url.href, headers: signed.headers };
  }
}

async function* chunksOf({ body }: Response, watch: Watch): AsyncGenerator<Buffer> {
  try {
    if (body === null) return;
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
      watch.touch();
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
  } catch (cause) {
    throw passing(cause);
  } finally {
    watch.end();
  }
}

/** Aborts when nothing has been heard for too long. */
class Watch {
  readonly #timer: NodeJS.Timeout;

  constructor(stallMs: number, stalled: AbortController) {
    this.#timer = setTimeout(() => stalled.abort(new Error(`nothing came for ${stallMs} ms`)), stallMs).unref();
  }

  touch(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

function passing(cause: unknown): PassingFailure {
  const { message, cause: inner } = cause as Error;
  return new PassingFailure(inner instanceof Error ? inner.message : message, { cause });
}

/** What an answer that nobody expects means. */
export function failureOf({ method, key }: S3Request, { status, body }: S3Answer): Error {
  const text = body.toString();
  const code = textOf(text, "Code") ?? "";
  if (PASSING.has(status) || PASSING_CODES.has(code)) return new PassingFailure(`${status} ${code}`);
  const said = [code, textOf(text, "Message") ?? ""].filter((part) => part !== "").join(": ");
  return refused(`${method} ${key} was answered with ${status}${said === "" ? "" : ` (${said.slice(0, 500)})`}`);
}

export const refused = (what: string): PlyboxError => new PlyboxError("remote/refused", `the object storage: ${what}`);

const unreachable = ({ endpoint }: S3Options, cause: Error): PlyboxError =>
  new PlyboxError("remote/unreachable", `the object storage at ${endpoint} fails: ${cause.message}`, { cause });
