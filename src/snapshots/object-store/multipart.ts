import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { atOnce } from "../../base/at-once.ts";
import type { TransferOptions } from "./object-store.ts";
import type { S3Client } from "./s3-client.ts";
import { failureOf, PassingFailure } from "./s3-client.ts";
import { elementsOf, textOf } from "./xml.ts";

const MIB = 1024 * 1024;
const MOST_PARTS = 10_000;
const AT_ONCE = 4;

/** How a file is cut; the same file is cut alike everywhere, so that any host goes on with any other's upload. */
export const partBytesOf = (bytes: number, pieceBytes: number): number =>
  bytes <= pieceBytes * MOST_PARTS ? pieceBytes : Math.ceil(bytes / MOST_PARTS / MIB) * MIB;

interface Part {
  readonly number: number;
  readonly etag: string;
  readonly bytes: number;
}

export interface MultipartUpload {
  readonly client: S3Client;
  readonly key: string;
  readonly file: FileHandle;
  readonly bytes: number;
  readonly partBytes: number;
  readonly options: TransferOptions;
}

/** The upload that somebody has begun and nobody has ended was ended, or taken away, meanwhile. */
export class UploadGone extends Error {}

/**
 * Sends a file in parts, and only those that the server does not have. What is sent stays there when this fails, for the
 * next attempt or for `dropStaleUploads`.
 * @throws UploadGone
 */
export async function uploadParts(upload: MultipartUpload): Promise<void> {
  const { client, key, options } = upload;
  const uploadId = (await findUpload(upload)) ?? (await beginUpload(upload));
  const present = await presentParts(upload, uploadId);
  const parts = await sendMissing(upload, uploadId, present);
  const list = parts.map(({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`);
  const body = Buffer.from(`<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`);
  await client.persist(options.signal, async () => {
    const request = { method: "POST", key, query: { uploadId }, body, signal: options.signal } as const;
    const answer = await client.send(request, [200, 404]);
    if (answer.status === 404) throw new UploadGone(uploadId);
    // A server that takes long sends 200 at once, and may end with an error.
    if (textOf(answer.body.toString(), "Error") !== undefined) throw failureOf(request, answer);
  });
}

async function findUpload({ client, key, options }: MultipartUpload): Promise<string | undefined> {
  const request = { method: "GET", key: "", query: { uploads: "", prefix: key }, signal: options.signal } as const;
  const uploads = elementsOf((await client.send(request, [200])).body.toString(), "Upload");
  return uploads.filter((upload) => textOf(upload, "Key") === key).map((upload) => textOf(upload, "UploadId"))[0];
}

async function beginUpload({ client, key, options }: MultipartUpload): Promise<string> {
  const request = { method: "POST", key, query: { uploads: "" }, signal: options.signal } as const;
  const answer = await client.send(request, [200]);
  const uploadId = textOf(answer.body.toString(), "UploadId");
  if (uploadId === undefined) throw failureOf(request, answer);
  return uploadId;
}

async function presentParts({ client, key, options }: MultipartUpload, uploadId: string): Promise<Map<number, Part>> {
  const parts = new Map<number, Part>();
  for (let marker: string | undefined = "0"; marker !== undefined; ) {
    const query = { uploadId, "part-number-marker": marker };
    const answer = await client.send({ method: "GET", key, query, signal: options.signal }, [200, 404]);
    if (answer.status === 404) throw new UploadGone(uploadId);
    const xml = answer.body.toString();
    for (const part of elementsOf(xml, "Part")) {
      const number = Number(textOf(part, "PartNumber"));
      parts.set(number, { number, etag: textOf(part, "ETag") ?? "", bytes: Number(textOf(part, "Size")) });
    }
    marker = textOf(xml, "IsTruncated") === "true" ? textOf(xml, "NextPartNumberMarker") : undefined;
  }
  return parts;
}

async function sendMissing(
  upload: MultipartUpload,
  uploadId: string,
  present: ReadonlyMap<number, Part>,
): Promise<readonly Part[]> {
  const { partBytes } = upload;
  const count = Math.ceil(upload.bytes / partBytes);
  const parts: Part[] = [];
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const send = async (number: number, signal: AbortSignal): Promise<void> => {
    const from = (number - 1) * partBytes;
    const body = await readExactly(upload.file, from, Math.min(partBytes, upload.bytes - from));
    const stoppable = { ...upload, options: { ...upload.options, signal } };
    parts[number - 1] = await sendPart(stoppable, { uploadId, number, body, present: present.get(number) });
  };
  await atOnce(numbers, AT_ONCE, send, upload.options.signal);
  return parts;
}

async function sendPart(
  { client, key, options }: MultipartUpload,
  { uploadId, number, body, present }: { uploadId: string; number: number; body: Buffer; present: Part | undefined },
): Promise<Part> {
  const md5 = createHash("md5").update(body);
  const expected = md5.copy().digest("hex");
  const isThere = present?.bytes === body.length && unquoted(present.etag) === expected;
  const etag = isThere
    ? present.etag
    : await client.persist(options.signal, async () => {
        const query = { partNumber: String(number), uploadId };
        const headers = { "content-md5": md5.copy().digest("base64") };
        const request = { method: "PUT", key, query, headers, body, signal: options.signal } as const;
        const answer = await client.send(request, [200, 404]);
        if (answer.status === 404) throw new UploadGone(uploadId);
        const tag = answer.headers.get("etag") ?? "";
        // A part's tag is the MD5 of what has arrived, unless the server encrypts.
        const isPlain = answer.headers.get("x-amz-server-side-encryption") === null;
        if (isPlain && /^"?[0-9a-f]{32}"?$/.test(tag) && unquoted(tag) !== expected) {
          throw new PassingFailure("a part arrived other than it was sent");
        }
        return tag;
      });
  options.onBytes?.(body.length);
  return { number, etag, bytes: body.length };
}

const unquoted = (etag: string): string => etag.replaceAll('"', "");

/** @throws Error when the file is shorter than it was */
export async function readExactly(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, done, length - done, from + done);
    if (bytesRead === 0) throw new Error("a file became shorter while it was sent");
    done += bytesRead;
  }
  return buffer;
}
