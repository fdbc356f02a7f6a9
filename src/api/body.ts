import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { PlyboxError } from "../model/errors.ts";

/** A body that trickles in holds a connection and memory; 30 s are plenty for 1 MiB. */
const BODY_DEADLINE_MS = 30_000;
const JSON_TYPE = /^application\/json(?:\s*;\s*charset=(?:utf-8|"utf-8"))?\s*$/i;
/** JSON escapes a quote inside a string, so this is a key wherever it stands. */
const PROTO_KEY = /"__proto__"\s*:/;

const invalid = (message: string, field?: string, cause?: unknown): PlyboxError =>
  new PlyboxError("input/invalid", message, { ...(field !== undefined && { field }), cause });

const tooLarge = (limit: number): PlyboxError =>
  new PlyboxError("input/too-large", `the body is over ${limit.toLocaleString("en")} bytes`);

/**
 * Reads a whole JSON body from the connection: the framework's own reader has no bound.
 *
 * @throws PlyboxError `input/too-large` as soon as `limit` bytes are exceeded or announced, `input/invalid` for what is
 * not JSON in UTF-8, `aborted` when the client goes away in the middle
 */
export async function readJson(incoming: IncomingMessage, limit: number): Promise<unknown> {
  const type = incoming.headers["content-type"];
  if (type === undefined || !JSON_TYPE.test(type)) {
    throw invalid("the body must be sent as content-type: application/json", "content-type");
  }
  if (incoming.headers["content-encoding"] !== undefined) {
    throw invalid("the body must be sent without content-encoding", "content-encoding");
  }
  return parseJson(await readBytes(incoming, limit));
}

function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) throw invalid("the body is empty; it must be a JSON object");
  if (!isUtf8(bytes)) throw invalid("the body is not UTF-8");
  const text = bytes.toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid("the body is not JSON", undefined, cause);
  }
  // A schema would drop this key without a word instead of refusing it.
  if (PROTO_KEY.test(text)) throw invalid("__proto__ is not a field", "__proto__");
  return value;
}

function readBytes(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // What a client announces is refused before it is sent; what it sends is counted all the same.
    if (Number(incoming.headers["content-length"]) > limit) {
      reject(tooLarge(limit));
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > limit) settle(() => reject(tooLarge(limit)));
      else chunks.push(chunk);
    };
    const onEnd = (): void =>
      settle(() => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)));
    const onLost = (cause?: unknown): void =>
      settle(() => reject(new PlyboxError("aborted", "the client went away in the middle of its request", { cause })));
    const deadline = setTimeout(
      () => settle(() => reject(invalid("the body took too long to arrive"))),
      BODY_DEADLINE_MS,
    );
    const settle = (answer: () => void): void => {
      clearTimeout(deadline);
      incoming.off("data", onData).off("end", onEnd).off("error", onLost).off("close", onLost);
      answer();
    };
    incoming.on("data", onData).on("end", onEnd).on("error", onLost).on("close", onLost);
    if (incoming.destroyed) onLost();
  });
}
