import { open, rm } from "node:fs/promises";
import { atOnce } from "../../base/at-once.ts";
import { partBytesOf, readExactly, UploadGone, uploadParts } from "./multipart.ts";
import type { ObjectStore, TransferOptions } from "./object-store.ts";
import { downloadRange } from "./ranges.ts";
import type { S3Options } from "./s3-client.ts";
import { refused, S3Client } from "./s3-client.ts";
import { elementsOf, textOf, textsOf } from "./xml.ts";

const PIECE_BYTES = 8 * 1024 * 1024;
const AT_ONCE = 4;
/** Another host may end an upload that this one goes on with, more than once. */
const MOST_UPLOADS = 3;

export interface S3StoreOptions extends S3Options {
  /** Of what is sent and fetched at once; 8 MiB by default. Servers take parts of 5 MiB or more. */
  readonly pieceBytes?: number;
}

/** An S3 bucket, addressed by path. Sends no condition but `If-None-Match: *`, and that with small objects alone. */
export class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #pieceBytes: number;

  constructor({ pieceBytes = PIECE_BYTES, ...options }: S3StoreOptions) {
    this.#pieceBytes = pieceBytes;
    this.#client = new S3Client(options);
  }

  async sizeOf(key: string, { signal }: TransferOptions = {}): Promise<number | undefined> {
    const { status, headers } = await this.#client.send({ method: "HEAD", key, signal }, [200, 404]);
    return status === 404 ? undefined : Number(headers.get("content-length"));
  }

  async read(key: string, mostBytes: number, { signal }: TransferOptions = {}): Promise<Buffer | undefined> {
    const answer = await this.#client.send({ method: "GET", key, signal }, [200, 404]);
    if (answer.status === 404) return undefined;
    if (answer.body.length > mostBytes) throw refused(`${key} has ${answer.body.length} bytes`);
    return answer.body;
  }

  async putIfAbsent(key: string, bytes: Buffer, options: TransferOptions = {}): Promise<Buffer> {
    const headers = { "if-none-match": "*", "content-type": "application/json" };
    const request = { method: "PUT", key, headers, body: bytes, signal: options.signal } as const;
    for (;;) {
      const { status } = await this.#client.send(request, [200, 412]);
      if (status === 200) return bytes;
      // Also where an earlier attempt came through and its answer did not.
      const there = await this.read(key, Number.POSITIVE_INFINITY, options);
      if (there !== undefined) return there;
    }
  }

  async upload(key: string, path: string, options: TransferOptions = {}): Promise<void> {
    const file = await open(path, "r");
    try {
      const bytes = (await file.stat()).size;
      const partBytes = partBytesOf(bytes, this.#pieceBytes);
      if (bytes <= partBytes) {
        const body = await readExactly(file, 0, bytes);
        await this.#client.send({ method: "PUT", key, body, signal: options.signal }, [200]);
        options.onBytes?.(bytes);
        return;
      }
      const upload = { client: this.#client, key, file, bytes, partBytes, options };
      for (let begun = 1; ; begun++) {
        try {
          return await uploadParts(upload);
        } catch (error) {
          if (!(error instanceof UploadGone) || begun === MOST_UPLOADS) throw error;
          // Whoever ended it may have done so by completing it.
          if ((await this.sizeOf(key, options)) === bytes) return;
        }
      }
    } finally {
      await file.close();
    }
  }

  async download(key: string, bytes: number, path: string, options: TransferOptions = {}): Promise<void> {
    const file = await open(path, "wx", 0o600);
    try {
      const starts = Array.from({ length: Math.ceil(bytes / this.#pieceBytes) }, (_, i) => i * this.#pieceBytes);
      const fetchOne = async (from: number, signal: AbortSignal): Promise<void> => {
        const range = { key, from, to: Math.min(from + this.#pieceBytes, bytes), of: bytes };
        await downloadRange(this.#client, range, file, { ...options, signal });
      };
      await atOnce(starts, AT_ONCE, fetchOne, options.signal);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  }

  async *list(prefix: string, { signal }: TransferOptions = {}): AsyncGenerator<string> {
    for (let token: string | undefined = ""; token !== undefined; ) {
      const query: Record<string, string> = {
        "list-type": "2",
        prefix,
        ...(token !== "" && { "continuation-token": token }),
      };
      const { body } = await this.#client.send({ method: "GET", key: "", query, signal }, [200]);
      const xml: string = body.toString();
      yield* elementsOf(xml, "Contents").flatMap((entry) => textsOf(entry, "Key").slice(0, 1));
      token = textOf(xml, "IsTruncated") === "true" ? textOf(xml, "NextContinuationToken") : undefined;
    }
  }

  async dropStaleUploads(prefix: string, olderThanMs: number, { signal }: TransferOptions = {}): Promise<number> {
    const query = { uploads: "", prefix };
    const xml = (await this.#client.send({ method: "GET", key: "", query, signal }, [200])).body.toString();
    let dropped = 0;
    for (const upload of elementsOf(xml, "Upload")) {
      const [key, uploadId] = [textOf(upload, "Key"), textOf(upload, "UploadId")];
      const begun = Date.parse(textOf(upload, "Initiated") ?? "");
      // A time that cannot be read is younger than any.
      if (key === undefined || uploadId === undefined || !(Date.now() - begun > olderThanMs)) continue;
      await this.#client.send({ method: "DELETE", key, query: { uploadId }, signal }, [204, 404]);
      dropped++;
    }
    return dropped;
  }
}
