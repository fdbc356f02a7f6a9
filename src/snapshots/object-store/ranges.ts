import type { FileHandle } from "node:fs/promises";
import type { TransferOptions } from "./object-store.ts";
import type { S3Client } from "./s3-client.ts";
import { failureOf, PassingFailure, refused } from "./s3-client.ts";

/** Bytes `from` to before `to` of an object that has `of`. */
export interface ObjectRange {
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly of: number;
}

/** Reads a range of an object to its place in a file. An answer that breaks off is gone on with where it did. */
export async function downloadRange(
  client: S3Client,
  range: ObjectRange,
  file: FileHandle,
  { signal, onBytes }: TransferOptions,
): Promise<void> {
  let at = range.from;
  await client.persist(signal, async (progressed) => {
    const headers = { range: `bytes=${at}-${range.to - 1}` };
    const request = { method: "GET", key: range.key, headers, signal } as const;
    const { status, headers: said, chunks } = await client.open(request);
    if (status !== 206) {
      throw failureOf(request, { status, headers: said, body: await beginningOf(chunks) });
    }
    const expected = `bytes ${at}-${range.to - 1}/${range.of}`;
    if (said.get("content-range") !== expected) {
      throw refused(`${range.key} came as ${said.get("content-range")} and not as ${expected}`);
    }
    for await (const chunk of chunks) {
      if (at + chunk.length > range.to) throw new PassingFailure("more came than was asked for");
      await writeExactly(file, chunk, at);
      at += chunk.length;
      onBytes?.(chunk.length);
      progressed();
    }
    if (at < range.to) throw new PassingFailure("the answer broke off");
  });
}

/** What a server that knows no ranges sends may be the whole object. */
async function beginningOf(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  for await (const chunk of chunks) return chunk;
  return Buffer.alloc(0);
}

async function writeExactly(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  }
}
