import type { FileContent } from "./files.ts";
import { PlyboxApiError } from "./plybox-api-error.ts";
import type { TransportRequest, TransportResponse } from "./transport.ts";

export const jsonOf = async <T>(response: TransportResponse): Promise<T> => JSON.parse(await response.text()) as T;

/** Whether all of it is here. */
const isWhole = (content: FileContent): content is string | Uint8Array =>
  typeof content === "string" || content instanceof Uint8Array;

/** Not every browser can iterate a stream by itself. */
export const bodyOf = (content: FileContent): string | Uint8Array | AsyncIterable<Uint8Array> =>
  isWhole(content) || Symbol.asyncIterator in content ? content : chunksOf(content);

async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {}); // It has failed already, and its reader knows.
  }
}

/** A body whose length is told beforehand, where it is known, and then held to. */
export function sizedBody(
  content: FileContent,
  size: number | undefined,
): { readonly body: NonNullable<TransportRequest["body"]>; readonly bodyBytes?: number } {
  const body = bodyOf(content);
  if (size === undefined || typeof body === "string" || body instanceof Uint8Array) return { body };
  return { body: exactly(body, size), bodyBytes: size };
}

async function* exactly(content: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let given = 0;
  for await (const piece of content) {
    given += piece.length;
    if (given > size) break;
    yield piece;
  }
  if (given === size) return;
  const message = `the stream gave ${given < size ? `${given} bytes` : "more"}, and was to give ${size}`;
  throw new PlyboxApiError({ code: "input/invalid", message, field: "size" }, 0);
}
