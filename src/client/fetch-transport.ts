import { unreachable } from "./plybox-api-error.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";
import { upgradeConnection } from "./upgrade.ts";

/** Over `fetch`: browsers, and TCP everywhere. */
export function fetchTransport(baseUrl: string, fetch: typeof globalThis.fetch): Transport {
  const base = baseUrl.replace(/\/+$/, "");
  return {
    async send({ method, path, headers, body, signal }: TransportRequest): Promise<TransportResponse> {
      // A redirect of a server inside a sandbox leads to where only the caller knows the way.
      const redirect = "manual" as const;
      const init = {
        method,
        headers,
        redirect,
        ...(body !== undefined && bodyOf(body)),
        ...(signal !== undefined && { signal }),
      };
      const response = await orUnreachable(base, signal, () => fetch(base + path, init));
      return {
        status: response.status,
        headers: [...response.headers],
        text: () => orUnreachable(base, signal, () => response.text()),
        chunks: () => chunksOf(response, base, signal),
      };
    },
    upgrade: (request) => upgradeConnection({ baseUrl: base }, request),
    baseUrl: base,
    close() {},
  };
}

/** A stream is sent as it comes; the answer is read when all of it has been. */
const bodyOf = (body: NonNullable<TransportRequest["body"]>): object =>
  typeof body === "string" || body instanceof Uint8Array ? { body } : { body: streamOf(body), duplex: "half" };

/** Not every browser makes a stream of an iteration by itself. */
function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream(
    {
      async pull(controller) {
        const { value, done } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

async function orUnreachable<T>(base: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (signal?.aborted === true) throw signal.reason;
    throw unreachable(`no answer from ${base || "the daemon"}`, cause);
  }
}

/** Not every browser can iterate a stream by itself. */
async function* chunksOf(
  response: Response,
  base: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { value, done } = await orUnreachable(base, signal, () => reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {}); // The stream has failed already, and its reader knows.
  }
}
