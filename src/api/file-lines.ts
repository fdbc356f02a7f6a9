import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import type { FileLines } from "../sandbox/files/sandbox-files.ts";
import { sendHead, sendStream } from "./file-transfer.ts";

const HEADERS = { "content-type": "application/x-ndjson", "cache-control": "no-store" };

/** Whether a request asks for lines of JSON instead of one answer. */
export const acceptsLines = (incoming: IncomingMessage): boolean =>
  incoming.headers.accept?.includes("application/x-ndjson") === true;

/** Answers with one JSON object a line, the last of which is `{"end":…}`: without it something is missing. */
export function sendLines<T>(
  lines: FileLines<T, object>,
  view: (item: T) => object,
  { incoming, outgoing }: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse },
): Response | Promise<Response> {
  const head = { status: 200, headers: HEADERS };
  if (incoming.method === "HEAD") return sendHead(head);
  return sendStream((to) => pipeline(texts(lines, view), to, { end: false }), outgoing, head);
}

async function* texts<T>(lines: FileLines<T, object>, view: (item: T) => object): AsyncGenerator<Buffer> {
  for await (const batch of lines) {
    yield Buffer.from(batch.map((item) => `${JSON.stringify(view(item))}\n`).join(""));
  }
  yield Buffer.from(`${JSON.stringify({ end: lines.end ?? {} })}\n`);
}

/** All lines, where their number has a limit. */
export async function collectLines<T, End>(
  lines: FileLines<T, End>,
): Promise<{ readonly items: T[]; readonly end: End }> {
  const items: T[] = [];
  for await (const batch of lines) items.push(...batch);
  return { items, end: lines.end as End };
}
