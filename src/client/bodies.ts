import type { FileContent } from "./files.ts";
import type { TransportResponse } from "./transport.ts";

export const jsonOf = async <T>(response: TransportResponse): Promise<T> => JSON.parse(await response.text()) as T;

/** Not every browser can iterate a stream by itself. */
export const bodyOf = (content: FileContent): string | Uint8Array | AsyncIterable<Uint8Array> =>
  typeof content === "string" || content instanceof Uint8Array || Symbol.asyncIterator in content
    ? content
    : chunksOf(content);

async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {}); // It has failed already, and its reader knows.
  }
}
