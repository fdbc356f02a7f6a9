import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { PlyboxError } from "../model/errors.ts";
import type { Relay } from "../model/file-relay.ts";
import type { SandboxFiles } from "../sandbox/files/sandbox-files.ts";
import type { ReadConditions } from "./file-conditions.ts";
import { readConditions } from "./file-conditions.ts";
import type { FileRoutes } from "./file-routes.ts";
import { sendHead, sendStream } from "./file-transfer.ts";
import { modifiedAt } from "./file-view.ts";
import { answerPassage } from "./relayed-body.ts";
import type { Call } from "./route.ts";

type ReadCall = Pick<Call<FileRoutes["readFile"]>, "params" | "query" | "incoming" | "outgoing" | "signal">;
type Content = Awaited<ReturnType<SandboxFiles["read"]>>;

/** Answers with a file's content, or the part of it that was asked for. */
export async function readContent(files: SandboxFiles, call: ReadCall, relay: Relay | undefined): Promise<Response> {
  const { incoming, outgoing } = call;
  const conditions = readConditions(incoming.headers);
  const { content, isRange } = await openContent(files, call, conditions);
  const { entry, etag, from, to } = content.ack;
  const headers: OutgoingHttpHeaders = {
    etag: `"${etag}"`,
    "last-modified": modifiedAt(entry).toUTCString(),
    "accept-ranges": "bytes",
    "cache-control": "no-cache",
  };
  if (conditions.ifNoneMatch.includes(etag) || conditions.ifNoneMatch.includes("*")) {
    content.destroy();
    return sendHead({ status: 304, headers });
  }
  if (isRange && from >= to) {
    content.destroy();
    throw new PlyboxError("file/out-of-range", `the file has ${entry.size} bytes`, { field: "range" });
  }
  const whole = {
    ...headers,
    "content-type": "application/octet-stream",
    // Files of /proc have content and no size.
    ...(entry.size > 0 && { "content-length": to - from }),
    ...(isRange && { "content-range": `bytes ${from}-${to - 1}/${entry.size}` }),
  };
  const status = isRange ? 206 : 200;
  if (incoming.method === "HEAD") {
    content.destroy();
    return sendHead({ status, headers: whole });
  }
  const passage = answerPassage(relay, entry.size > 0 ? to - from : 0, outgoing);
  const write = async (answer: ServerResponse): Promise<void> => {
    try {
      await content.pour(answer, passage);
    } catch (error) {
      // A client that has had all that was announced may be asking for something else on its connection by now.
      if (entry.size === 0 || content.received < to - from) throw error;
    }
  };
  return sendStream(write, outgoing, { status, headers: whole });
}

/** Opens what the conditions ask for; a range of what has no size is all of it. */
async function openContent(
  files: SandboxFiles,
  { params, query, signal }: ReadCall,
  { range, ifRange, ifMatch }: ReadConditions,
): Promise<{ readonly content: Content; readonly isRange: boolean }> {
  const open = (part: { from?: number; to?: number; ifMatch?: string }): Promise<Content> =>
    files.read(params.ref, { ...query, ...(ifMatch !== undefined && { ifMatch }), ...part }, signal);
  if (range !== undefined) {
    const expected = ifMatch ?? ifRange;
    const part = await boundsOf(range, async () => (await files.stat(params.ref, { ...query }, signal)).entry.size);
    try {
      const content = await open({ ...part, ...(expected !== undefined && { ifMatch: expected }) });
      if (content.ack.entry.size > 0) return { content, isRange: true };
      content.destroy();
    } catch (error) {
      const isOther = error instanceof PlyboxError && error.code === "file/changed";
      if (!isOther || ifRange === undefined || ifMatch !== undefined) throw error;
    }
  }
  return { content: await open({}), isRange: false };
}

async function boundsOf(
  range: NonNullable<ReadConditions["range"]>,
  size: () => Promise<number>,
): Promise<{ readonly from: number; readonly to?: number }> {
  if ("from" in range) return range;
  const end = await size();
  return { from: Math.max(0, end - range.last), to: end };
}
