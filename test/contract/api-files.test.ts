import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FileChange, Files, ListedFile, Sandbox } from "../../src/client/index.ts";
import { Plybox, PlyboxApiError } from "../../src/client/index.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";
import type { Answer } from "../support/http.ts";
import { open, send } from "../support/http.ts";

let api: ApiSubject;
let sandbox: Sandbox;
let base: string;

beforeAll(async () => {
  api = await startApi();
  sandbox = await new Plybox({ socketPath: api.socketPath }).create({ name: "files" });
  base = `/v1/sandboxes/files/files`;
});

afterAll(() => api[Symbol.asyncDispose]());

const code = (answer: Answer): string => answer.json<{ error: { code: string } }>().error.code;
const put = (path: string, body: string, headers = {}): Promise<Answer> =>
  send(api, { method: "PUT", path: `${base}/content?path=${path}`, body, headers });
const get = (path: string, headers = {}): Promise<Answer> =>
  send(api, { path: `${base}/content?path=${path}`, headers });

describe("a file's content over HTTP", () => {
  let etag: string;

  beforeAll(async () => {
    const answer = await put("/root/ten", "0123456789");
    expect(answer.status).toBe(200);
    etag = answer.json<{ etag: string }>().etag;
  });

  it("comes whole with its length, etag and time", async () => {
    const { status, text, headers } = await get("/root/ten");
    expect({ status, text }).toEqual({ status: 200, text: "0123456789" });
    expect(headers).toMatchObject({ "content-length": "10", etag: `"${etag}"`, "accept-ranges": "bytes" });
    expect(Date.parse(headers["last-modified"] ?? "")).toBeGreaterThan(0);
  });

  it.each([
    ["bytes=2-4", "234", "bytes 2-4/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=-2", "89", "bytes 8-9/10"],
    ["bytes=8-99", "89", "bytes 8-9/10"],
  ])("%s is a part of it", async (range, text, part) => {
    const answer = await get("/root/ten", { range });
    expect(answer).toMatchObject({ status: 206, text });
    expect(answer.headers["content-range"]).toBe(part);
  });

  it.each(["bytes=1-2,4-5", "lines=1-2", "bytes=5-2", "bytes=-"])("%s is passed over", async (range) => {
    expect(await get("/root/ten", { range })).toMatchObject({ status: 200, text: "0123456789" });
  });

  it("has no range behind its end", async () => {
    const answer = await get("/root/ten", { range: "bytes=10-" });
    expect([answer.status, code(answer)]).toEqual([416, "file/out-of-range"]);
  });

  it("is spared who has it, and refused who wants another", async () => {
    expect(await get("/root/ten", { "if-none-match": `"x", "${etag}"` })).toMatchObject({ status: 304, text: "" });
    expect(await get("/root/ten", { "if-none-match": '"x"' })).toMatchObject({ status: 200 });
    expect(await get("/root/ten", { "if-match": '"x"' })).toMatchObject({ status: 412 });
    const part = { range: "bytes=0-0" };
    expect(await get("/root/ten", { ...part, "if-range": `"${etag}"` })).toMatchObject({ status: 206, text: "0" });
    expect(await get("/root/ten", { ...part, "if-range": '"x"' })).toMatchObject({ status: 200, text: "0123456789" });
  });

  it("has a head that can be asked for alone", async () => {
    const { status, text, headers } = await send(api, { method: "HEAD", path: `${base}/content?path=/root/ten` });
    expect({ status, text, length: headers["content-length"] }).toEqual({ status: 200, text: "", length: "10" });
  });

  it("is replaced only under its etag, and made only where there is none", async () => {
    expect(await put("/root/ten", "other", { "if-match": '"x"' })).toMatchObject({ status: 412 });
    expect(await put("/root/ten", "other", { "if-none-match": "*" })).toMatchObject({ status: 412 });
    expect(code(await put("/root/ten&how=create", "other"))).toBe("file/exists");
    expect((await get("/root/ten")).text).toBe("0123456789");
    expect(await put("/root/ten", "0123456789", { "if-match": `"${etag}"` })).toMatchObject({ status: 200 });
  });

  it.each([
    ["/root/none", 404, "file/not-found"],
    ["/root", 409, "file/is-a-directory"],
    ["/root/ten/below", 409, "file/not-a-directory"],
    ["/dev/null", 409, "file/not-regular"],
    ["relative", 400, "input/invalid"],
    ["/a%00b", 400, "input/invalid"],
    ["/root/ten&user=nobody-of-that-name", 400, "input/invalid"],
  ])("of %s cannot be read", async (path, status, reason) => {
    const answer = await get(path);
    expect([answer.status, code(answer)]).toEqual([status, reason]);
  });

  it("is there where it has no size", async () => {
    const { status, text, headers } = await get("/proc/self/status");
    expect({ status, length: headers["content-length"] }).toEqual({ status: 200, length: undefined });
    expect(text).toContain("Name:");
  });

  it("is reached under a user's rights alone", async () => {
    await put("/root/secret", "s");
    await sandbox.files.chmod("/root/secret", 0o600);
    const answer = await get("/root/secret&user=1000");
    expect([answer.status, code(answer)]).toEqual([403, "file/permission-denied"]);
    expect((await get("/root/secret&user=0")).status).toBe(200);
  });

  it("is not written by a request that is cut off", async () => {
    const cut = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(300_000);
      cut.abort(new Error("enough"));
      await new Promise(() => {});
    }
    await expect(sandbox.files.write("/root/ten", endless(), { signal: cut.signal })).rejects.toThrow("enough");
    expect((await get("/root/ten")).text).toBe("0123456789");
  });

  it("cuts the connection where it becomes shorter while it is read", async () => {
    await sandbox.exec("truncate -s 64M /root/shrinking");
    const incoming = await open(api, { path: `${base}/content?path=/root/shrinking` });
    await sandbox.exec("truncate -s 1M /root/shrinking");
    let bytes = 0;
    const all = async (): Promise<void> => {
      for await (const piece of incoming) bytes += (piece as Buffer).length;
    };
    await expect(all()).rejects.toThrow("aborted");
    expect(bytes).toBeLessThan(64 * 1024 ** 2);
  });
});

it("streams lists as lines, the last of which says that it is whole", async () => {
  await sandbox.exec("mkdir /root/three && touch /root/three/a /root/three/b /root/three/c");
  const headers = { accept: "application/x-ndjson" };
  const { text } = await send(api, { path: `${base}?path=/root/three`, headers });
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.map(({ path }) => path)).toEqual(["a", "b", "c", undefined]);
  expect(lines.at(-1)).toEqual({ end: { entries: 3, more: false } });
});

it("pages through a directory of 100,000 entries, each told once and in order", async () => {
  await sandbox.exec("mkdir /tmp/many && cd /tmp/many && seq -w 0 99999 | xargs touch");
  let count = 0;
  for await (const { path } of sandbox.files.list("/tmp/many", { pageSize: 10_000 })) {
    if (path !== String(count).padStart(5, "0")) throw new Error(`${String(path)} in place ${count}`);
    count += 1;
  }
  expect(count).toBe(100_000);
});

const CONNECTIONS: Record<string, () => Plybox> = {
  "over a Unix socket": () => new Plybox({ socketPath: api.socketPath }),
  "over TCP": () => new Plybox({ baseUrl: `http://127.0.0.1:${api.port}/`, token: api.token }),
};

describe.each(Object.entries(CONNECTIONS))("sandbox.files %s", (name, connect) => {
  let files: Files;
  let home: string;

  beforeAll(async () => {
    files = (await connect().get("files")).files;
    home = `/root/${name.replaceAll(" ", "-")}`;
    expect(await files.mkdir(home)).toBe(true);
  });

  const failing = async (work: Promise<unknown>): Promise<string> => {
    const error = await work.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(PlyboxApiError);
    return (error as PlyboxApiError).code;
  };
  const pathsOf = async (listed: AsyncIterable<ListedFile>): Promise<unknown[]> => {
    const paths: unknown[] = [];
    for await (const { path } of listed) paths.push(path);
    return paths;
  };

  it("writes and reads text, bytes and streams", async () => {
    const path = `${home}/content`;
    await files.write(path, "grüß\n");
    expect(await files.readText(path)).toBe("grüß\n");
    await files.append(path, new Uint8Array([0xff]));
    expect([...(await files.read(path, { from: 7 }))]).toEqual([0xff]);
    expect(await files.read(path, { from: 100 })).toHaveLength(0);
    await files.write(path, new Blob(["from a ", "web stream"]).stream() as ReadableStream<Uint8Array>);
    expect(await files.readText(path, { from: 5, to: 10 })).toBe("a web");
  });

  it("passes 40 MB on unchanged, both ways", async () => {
    const piece = Uint8Array.from({ length: 1_000_003 }, (_, at) => (at * 7) % 251);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 40; n++) yield piece;
    }
    const { bytes } = await files.write(`${home}/large`, pieces());
    expect(bytes).toBe(40 * piece.length);
    const back = Buffer.from(await files.read(`${home}/large`));
    expect(back.length).toBe(40 * piece.length);
    for (let n = 0; n < 40; n++)
      expect(back.subarray(n * piece.length, (n + 1) * piece.length).equals(piece)).toBe(true);
  });

  it("guards a change by the etag that was read", async () => {
    const { etag } = await files.write(`${home}/guarded`, "1");
    await files.write(`${home}/guarded`, "22", { ifMatch: etag });
    expect(await failing(files.write(`${home}/guarded`, "333", { ifMatch: etag }))).toBe("file/changed");
    expect(await failing(files.read(`${home}/guarded`, { ifMatch: etag }))).toBe("file/changed");
    expect(await files.readText(`${home}/guarded`)).toBe("22");
  });

  it("makes, moves, links, changes and removes", async () => {
    await files.mkdir(`${home}/a/b/c`, { parents: true, mode: 0o750 });
    expect(await files.mkdir(`${home}/a/b/c`, { parents: true })).toBe(false);
    expect(await failing(files.mkdir(`${home}/a`))).toBe("file/exists");
    await files.write(`${home}/a/f`, "f", { mode: 0o600 });
    await files.move(`${home}/a/f`, `${home}/x/y/f`, { parents: true });
    await files.symlink("y/f", `${home}/x/link`);
    expect(await files.stat(`${home}/x/link`)).toMatchObject({ path: `${home}/x/y/f`, type: "file", mode: 0o600 });
    expect(await files.stat(`${home}/x/link`, { follow: false })).toMatchObject({ type: "symlink", target: "y/f" });
    expect(await files.chmod(`${home}/x`, 0o711, { recursive: true })).toBeGreaterThanOrEqual(3);
    expect(await files.chown(`${home}/x/y/f`, "1000:1001")).toBe(1);
    expect(await files.stat(`${home}/x/y/f`)).toMatchObject({ mode: 0o711, uid: 1000, gid: 1001 });
    expect(await failing(files.remove(`${home}/x`))).toBe("file/not-empty");
    expect(await files.remove(`${home}/x`, { recursive: true })).toBe(4);
    expect(await failing(files.remove(`${home}/x`))).toBe("file/not-found");
    expect(await files.remove(`${home}/x`, { missing: true })).toBe(0);
    expect(await files.exists(`${home}/x`)).toBe(false);
  });

  it("carries names that are no UTF-8, that have newlines and that look like something else", async () => {
    const names = [Uint8Array.of(0xff, 0xfe), "new\nline", "100%", "a+b c", "true", "ü&path=x"];
    await files.mkdir(`${home}/names`);
    for (const each of names) {
      const raw = typeof each === "string" ? new TextEncoder().encode(each) : each;
      await files.write(Uint8Array.from([...new TextEncoder().encode(`${home}/names/`), ...raw]), each);
    }
    const listed = await pathsOf(files.list(`${home}/names`, { pageSize: 1 }));
    expect(listed).toHaveLength(names.length);
    expect(new Set(listed)).toEqual(
      new Set(["new\nline", "100%", "a+b c", "true", "ü&path=x", expect.objectContaining({ base64: "//4=" })]),
    );
    expect(await files.readText({ base64: Buffer.from(`${home}/names/\xff\xfe`, "latin1").toString("base64") })).toBe(
      new TextDecoder().decode(Uint8Array.of(0xff, 0xfe)),
    );
  });

  it("lists levels, pages and what is hidden", async () => {
    await files.mkdir(`${home}/tree/deep`, { parents: true });
    for (const each of [".hidden", "b", "deep/c"]) await files.write(`${home}/tree/${each}`, "");
    expect(await pathsOf(files.list(`${home}/tree`))).toEqual([".hidden", "b", "deep"]);
    expect(await pathsOf(files.list(`${home}/tree`, { hidden: false, depth: Infinity, pageSize: 1 }))).toEqual([
      "b",
      "deep",
      "deep/c",
    ]);
    expect(await failing(pathsOf(files.list(`${home}/none`)))).toBe("file/not-found");
  });

  it("searches names and content", async () => {
    await files.mkdir(`${home}/code`);
    await files.write(`${home}/code/a.ts`, "one\nneedle here\n");
    await files.write(`${home}/code/b.md`, "Needle\n");
    const found: unknown[] = [];
    for await (const match of files.search(`${home}/code`, { content: "needle", ignoreCase: true })) found.push(match);
    expect(found).toEqual([
      { path: "a.ts", line: 2, column: 1, text: "needle here" },
      { path: "b.md", line: 1, column: 1, text: "Needle" },
    ]);
    const named: unknown[] = [];
    for await (const match of files.search(`${home}/code`, { name: "*.ts" })) named.push(match.path);
    expect(named).toEqual(["a.ts"]);
    expect(await failing(files.search(`${home}/code`, { content: "(", regex: true }).next())).toBe("input/invalid");
  });

  it("watches, from the moment it says so", async () => {
    await files.mkdir(`${home}/watched`);
    const changes: FileChange[] = [];
    const onReady = (): void => void files.write(`${home}/watched/new`, "x");
    for await (const change of files.watch(`${home}/watched`, { onReady })) {
      changes.push(change);
      // Only now: what is gone before the agent looks at it has no type to tell.
      if (change.kind === "created") await files.remove(`${home}/watched`, { recursive: true });
    }
    expect(changes).toContainEqual({ kind: "created", path: "new", type: "file" });
    expect(changes.at(-1)).toMatchObject({ kind: "gone" });
  });

  it("stops watching when it is told to", async () => {
    const stop = new AbortController();
    const watching = files.watch(home, { signal: stop.signal, onReady: () => stop.abort(new Error("told to")) });
    await expect(watching.next()).rejects.toThrow("told to");
  });

  it("packs and unpacks a tree", async () => {
    await files.mkdir(`${home}/packed/sub`, { parents: true });
    await files.write(`${home}/packed/sub/f`, "in a tree", { mode: 0o640 });
    await files.write(`${home}/packed/skipped`, "");
    await files.symlink("sub/f", `${home}/packed/link`);
    const archive = await files.downloadTar(`${home}/packed`, { exclude: ["skip*"] });
    expect(await files.uploadTar(`${home}/unpacked`, archive)).toBe(4);
    expect(await pathsOf(files.list(`${home}/unpacked`, { depth: 9 }))).toEqual(["link", "sub", "sub/f"]);
    expect(await files.readText(`${home}/unpacked/link`)).toBe("in a tree");
    expect(await failing(files.uploadTar(`${home}/unpacked`, "no archive at all".repeat(99)))).toBe("file/bad-archive");
  });

  it("gives a caller's own failure back and writes nothing", async () => {
    async function* failingPieces(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10);
      throw new RangeError("no more");
    }
    await expect(files.write(`${home}/partial`, failingPieces())).rejects.toThrow(/no more|no answer/);
    expect(await files.exists(`${home}/partial`)).toBe(false);
  });
});
