import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { S3Store } from "./s3-store.ts";

/** What a server answers that does what Ceph's gateway, which test/integration asks, never does. */
interface Scripted {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}
interface Asked {
  readonly what: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

const PIECE_BYTES = 1000;
const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");
const UPLOAD = "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>";

let directory: string;
let server: Server;
let makeStore: (stallMs?: number) => S3Store;
let store: S3Store;
let answer: (asked: Asked) => Scripted | undefined;
const asked: Asked[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "plybox-s3-"));
  asked.length = 0;
  server = createServer(async (incoming, outgoing) => {
    const body = Buffer.concat(await incoming.toArray());
    const url = new URL(incoming.url ?? "", "http://any");
    const query = [...url.searchParams.keys()].sort().join("&");
    const request = { what: `${incoming.method} ${url.pathname}?${query}`, headers: incoming.headers, body };
    asked.push(request);
    const scripted = answer(request);
    if (scripted !== undefined) outgoing.writeHead(scripted.status, scripted.headers).end(scripted.body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const credentials = { kind: "given", accessKeyId: "id", secretAccessKey: "secret", sessionToken: "session" } as const;
  const where = { endpoint: `http://127.0.0.1:${port}/`, region: "us-east-1", bucket: "bucket", credentials };
  makeStore = (stallMs) => new S3Store({ ...where, pieceBytes: PIECE_BYTES, retryMs: 1, ...(stallMs && { stallMs }) });
  store = makeStore();
});
afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, "close");
  rmSync(directory, { recursive: true });
});

/** A file of three parts. */
function fileOf(): { path: string; parts: readonly Buffer[] } {
  const parts = ["a", "b", "c"].map((text) => Buffer.alloc(PIECE_BYTES, text));
  const path = join(directory, "content");
  writeFileSync(path, Buffer.concat(parts));
  return { path, parts };
}

/** A server that takes an upload in parts, but for what `other` says. */
function takesParts(other: (asked: Asked) => Scripted | undefined): void {
  answer = (request) => {
    const special = other(request);
    if (special !== undefined) return special;
    if (request.what === "GET /bucket?prefix&uploads") return { status: 200, body: "<ListMultipartUploadsResult/>" };
    if (request.what === "POST /bucket/key?uploads") return { status: 200, body: UPLOAD };
    if (request.what.startsWith("GET /bucket/key?part-number-marker"))
      return { status: 200, body: "<ListPartsResult/>" };
    if (request.what.startsWith("PUT")) return { status: 200, headers: { etag: `"${md5(request.body)}"` } };
    return { status: 200, body: "<CompleteMultipartUploadResult/>" };
  };
}
const sent = (method: string): readonly Asked[] => asked.filter(({ what }) => what.startsWith(method));

describe("an upload in parts", () => {
  it("is ended again when the server says that it failed after it has said 200", async () => {
    let failures = 2;
    takesParts(({ what }) => {
      if (what !== "POST /bucket/key?uploadId" || failures-- <= 0) return undefined;
      return { status: 200, body: "<Error><Code>InternalError</Code><Message>once more</Message></Error>" };
    });
    await store.upload("key", fileOf().path);
    expect(asked.filter(({ what }) => what === "POST /bucket/key?uploadId")).toHaveLength(3);
    expect(sent("PUT")).toHaveLength(3);
  });

  it("sends a part again that arrived as another one, though the server took it", async () => {
    let failures = 1;
    takesParts(({ what }) =>
      what.startsWith("PUT") && failures-- > 0 ? { status: 200, headers: { etag: `"${"0".repeat(32)}"` } } : undefined,
    );
    await store.upload("key", fileOf().path);
    expect(sent("PUT")).toHaveLength(4);
  });

  it("goes by the server's own tags where it encrypts", async () => {
    const encrypted = { "x-amz-server-side-encryption": "aws:kms" };
    takesParts(({ what, body }) => {
      if (!what.startsWith("PUT")) return undefined;
      const etag = `"${md5(Buffer.concat([body, Buffer.from("secret")]))}"`;
      return { status: 200, headers: { ...encrypted, etag } };
    });
    const { path, parts } = fileOf();
    await store.upload("key", path);
    const ended = String(asked.at(-1)?.body);
    for (const part of parts) expect(ended).toContain(md5(Buffer.concat([part, Buffer.from("secret")])));
  });

  it("signs what each part holds, and tells its MD5 and its session", async () => {
    takesParts(() => undefined);
    await store.upload("key", fileOf().path);
    for (const { headers, body } of sent("PUT")) {
      expect(headers["x-amz-content-sha256"]).toBe(createHash("sha256").update(body).digest("hex"));
      expect(headers["content-md5"]).toBe(createHash("md5").update(body).digest("base64"));
      expect(headers["x-amz-security-token"]).toBe("session");
      expect(headers.authorization).toMatch(/SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;/);
    }
  });

  it("begins anew when somebody took away what had come of it", async () => {
    let isGone = true;
    takesParts(({ what }) => {
      if (what.startsWith("HEAD")) return { status: 404 };
      if (!what.startsWith("PUT") || !isGone) return undefined;
      isGone = false;
      return { status: 404, body: "<Error><Code>NoSuchUpload</Code></Error>" };
    });
    await store.upload("key", fileOf().path);
    expect(asked.filter(({ what }) => what === "POST /bucket/key?uploads")).toHaveLength(2);
  });
});

describe("a condition", () => {
  const put = () => store.putIfAbsent("key", Buffer.from("mine"));

  it("is asked again where another request came in between, or what was there went away", async () => {
    const script: Scripted[] = [
      { status: 409, body: "<Error><Code>ConditionalRequestConflict</Code></Error>" },
      { status: 412 },
      { status: 404 },
      { status: 200 },
    ];
    answer = () => script.shift();
    expect(String(await put())).toBe("mine");
    expect(asked.map(({ what }) => what.slice(0, 3))).toEqual(["PUT", "PUT", "GET", "PUT"]);
    expect(asked[0]?.headers["if-none-match"]).toBe("*");
  });

  it("that does not hold shows what is there", async () => {
    answer = ({ what }) => (what.startsWith("PUT") ? { status: 412 } : { status: 200, body: "theirs" });
    expect(String(await put())).toBe("theirs");
  });
});

describe("a download", () => {
  const download = (): Promise<void> => store.download("key", 10, join(directory, "target"));

  it.each<[string, Scripted]>([
    ["all of an object when a part was asked for", { status: 200, body: "0123456789" }],
    ["another part", { status: 206, headers: { "content-range": "bytes 0-8/10" }, body: "012345678" }],
    ["a part of another object", { status: 206, headers: { "content-range": "bytes 0-9/11" }, body: "0123456789" }],
  ])("is refused when %s comes, and leaves no file", async (_what, scripted) => {
    answer = () => scripted;
    await expect(download()).rejects.toMatchObject({ code: "remote/refused" });
    expect(readdirSync(directory)).toEqual([]);
  });

  it("from a server that says nothing is given up in the end", async () => {
    answer = () => undefined;
    store = makeStore(50);
    await expect(download()).rejects.toMatchObject({
      code: "remote/unreachable",
      message: expect.stringContaining("nothing came for 50 ms"),
    });
  });
});

describe("a small object", () => {
  it("that is not small is refused", async () => {
    answer = () => ({ status: 200, body: "x".repeat(101) });
    await expect(store.read("key", 100)).rejects.toMatchObject({ code: "remote/refused" });
  });

  it("comes no further than a few megabytes", async () => {
    answer = () => ({ status: 200, body: "x".repeat(9 * 1024 * 1024) });
    await expect(store.read("key", 100)).rejects.toMatchObject({
      message: expect.stringContaining("more than was asked for"),
    });
  });
});
