import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { signManifest } from "../../src/layers/signatures/signature.ts";
import type { Digest } from "../../src/model/ids.ts";
import { parseDigest } from "../../src/model/ids.ts";
import type { LayerManifest } from "../../src/model/layer.ts";
import type { RemoteProgress } from "../../src/model/remote.ts";
import { S3Store } from "../../src/snapshots/object-store/s3-store.ts";
import { elementsOf } from "../../src/snapshots/object-store/xml.ts";
import { Remote } from "../../src/snapshots/remote/remote.ts";
import { runCli } from "../support/cli-context.ts";
import type { Fault, Passed } from "../support/fault-proxy.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { refused } from "../support/layer-trees.ts";
import { ObjectServer } from "../support/object-server.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const BUCKET = "plybox-layers";
const KIB = 1024;
const PIECE_BYTES = 256 * KIB;
/** Three parts and three ranges, the last one shorter. */
const CONTENT = randomBytes(2 * PIECE_BYTES + 12_345);

let server: ObjectServer;
let proxy: FaultProxy;
let work: string;
let file: string;
let store: S3Store;
let keys = 0;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), "plybox-objects-"));
  file = join(work, "content");
  writeFileSync(file, CONTENT);
  server = await ObjectServer.start();
  await server.makeBucket(BUCKET);
  proxy = await FaultProxy.between(server.endpoint);
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

const storeAt = (
  endpoint: string,
  more: { stallMs?: number; bucket?: string; secretAccessKey?: string } = {},
): S3Store => {
  const { bucket = BUCKET, secretAccessKey = ObjectServer.credentials.secretAccessKey, ...rest } = more;
  const credentials = { kind: "given", ...ObjectServer.credentials, secretAccessKey } as const;
  return new S3Store({
    endpoint,
    region: ObjectServer.region,
    bucket,
    credentials,
    retryMs: 1,
    pieceBytes: PIECE_BYTES,
    ...rest,
  });
};

beforeEach(() => {
  proxy.fault = () => undefined;
  proxy.passed.length = 0;
  store = storeAt(proxy.endpoint);
});

const newKey = (): string => `objects/${keys++}`;
async function stored(key: string): Promise<Buffer> {
  const target = join(work, `stored-${keys++}`);
  await storeAt(server.endpoint).download(key, CONTENT.length, target);
  const bytes = readFileSync(target);
  rmSync(target);
  return bytes;
}
const isPart = ({ method, query }: Passed): boolean => method === "PUT" && query.has("partNumber");
const isRange = ({ range }: Passed): boolean => range !== undefined;
const uploads = async (prefix: string): Promise<readonly string[]> => {
  const query = { uploads: "", prefix };
  const { body } = await server.client(BUCKET).send({ method: "GET", key: "", query }, [200]);
  return elementsOf(body.toString(), "Upload");
};

describe("an object", () => {
  it("is written where there is none, and what is there first stays, whoever else comes", async () => {
    const key = newKey();
    const answers = await Promise.all(["a", "b", "c", "d"].map((text) => store.putIfAbsent(key, Buffer.from(text))));
    const texts = new Set(answers.map(String));
    expect(texts.size).toBe(1);
    expect(texts).toContain(String(await store.read(key, 10)));
    expect(await store.sizeOf(key)).toBe(1);
    expect(await store.sizeOf(newKey())).toBeUndefined();
    expect(await store.read(newKey(), 10)).toBeUndefined();
  });

  it("that was written when its answer was lost is this host's own", async () => {
    const key = newKey();
    proxy.failFirst(1, { kind: "lose-answer" }, ({ method }) => method === "PUT");
    expect(String(await store.putIfAbsent(key, Buffer.from("mine")))).toBe("mine");
    expect(proxy.passed.filter(({ method }) => method === "PUT")).toHaveLength(2);
  });

  it("is listed by its prefix, over any number of pages", async () => {
    const names = Array.from({ length: 25 }, (_, i) => `listed/${String(i).padStart(3, "0")}&<`);
    for (const name of names) await store.putIfAbsent(name, Buffer.from("x"));
    const found: string[] = [];
    for await (const key of store.list("listed/")) found.push(key);
    expect(found).toEqual(names);
  });

  it.each<[string, Fault, (passed: Passed) => boolean]>([
    ["errors", { kind: "status", status: 500 }, () => true],
    ["being told to slow down", { kind: "status", status: 503 }, () => true],
    ["connections cut before they are heard", { kind: "cut-request" }, () => true],
    ["parts of which a byte is altered", { kind: "alter-request", at: 100 * KIB }, isPart],
    ["answers that are lost", { kind: "lose-answer" }, () => true],
  ])("of several parts arrives whole through %s", async (_what, fault, matches) => {
    const key = newKey();
    proxy.failFirst(4, fault, matches);
    let bytes = 0;
    await store.upload(key, file, {
      onBytes: (count) => {
        bytes += count;
      },
    });
    expect(bytes).toBe(CONTENT.length);
    proxy.fault = () => undefined;
    expect((await stored(key)).equals(CONTENT)).toBe(true);
    expect(await uploads(key)).toEqual([]);
  });

  it("whose upload failed is gone on with, by another host too, and no part is sent twice", async () => {
    const key = newKey();
    const isDone = (number: string): boolean =>
      proxy.answered.some((each) => each.path.endsWith(key) && each.query.get("partNumber") === number);
    proxy.fault = async (passed) => {
      if (!isPart(passed) || passed.query.get("partNumber") !== "3") return undefined;
      // An upload that fails gives up the parts that are on their way.
      await expect.poll(() => isDone("1") && isDone("2")).toBe(true);
      return { kind: "status", status: 500 };
    };
    expect(await refused(store.upload(key, file))).toMatchObject({ code: "remote/unreachable" });
    expect(await uploads(key)).toHaveLength(1);
    expect(await store.sizeOf(key)).toBeUndefined();
    proxy.fault = () => undefined;
    proxy.passed.length = 0;
    await storeAt(proxy.endpoint).upload(key, file);
    expect(proxy.passed.filter(isPart).map(({ query }) => query.get("partNumber"))).toEqual(["3"]);
    expect((await stored(key)).equals(CONTENT)).toBe(true);
  });

  it("that two hosts upload at the same time is whole for both", async () => {
    const key = newKey();
    await Promise.all([store.upload(key, file), storeAt(server.endpoint).upload(key, file)]);
    expect((await stored(key)).equals(CONTENT)).toBe(true);
  });

  it("that nobody goes on with is taken away when it is old enough, and not before", async () => {
    const key = newKey();
    proxy.failFirst(99, { kind: "status", status: 500 }, isPart);
    await refused(store.upload(key, file));
    proxy.fault = () => undefined;
    expect(await store.dropStaleUploads(key, 60 * 60 * 1000)).toBe(0);
    expect(await store.dropStaleUploads(key, -1000)).toBe(1);
    expect(await uploads(key)).toEqual([]);
  });
});

describe("a download", () => {
  let key: string;
  beforeAll(async () => {
    key = newKey();
    await storeAt(server.endpoint).upload(key, file);
  });

  const download = async (from = store): Promise<Buffer> => {
    const target = join(work, `downloaded-${keys++}`);
    await from.download(key, CONTENT.length, target);
    return readFileSync(target);
  };

  it("goes on where an answer broke off, and fetches nothing twice", async () => {
    proxy.failFirst(3, { kind: "cut-answer", after: 4000 }, isRange);
    expect((await download()).equals(CONTENT)).toBe(true);
    const asked = proxy.passed.filter(isRange).map(({ range }) => range ?? "");
    const starts = asked.map((range) => Number(/bytes=(\d+)-/.exec(range)?.[1]));
    // Three whole ranges, and three rests of them that begin later.
    expect(starts.filter((start) => start % PIECE_BYTES === 0)).toHaveLength(3);
    expect(starts.filter((start) => start % PIECE_BYTES > 0)).toHaveLength(3);
  });

  it("asks again where nothing comes any more", async () => {
    proxy.failFirst(2, { kind: "stall-answer", after: 1000 }, isRange);
    expect((await download(storeAt(proxy.endpoint, { stallMs: 2000 }))).equals(CONTENT)).toBe(true);
  });

  it("is given up when nothing helps, and leaves no file", async () => {
    proxy.fault = (passed) => (isRange(passed) ? { kind: "status", status: 502 } : undefined);
    const target = join(work, "never");
    expect(await refused(store.download(key, CONTENT.length, target))).toMatchObject({
      code: "remote/unreachable",
      message: expect.stringContaining("502"),
    });
    expect(readdirSync(work)).not.toContain("never");
  });

  it("ends at once when it is aborted", async () => {
    proxy.fault = () => ({ kind: "stall-answer", after: 10 });
    const abort = new AbortController();
    const waiting = store.download(key, CONTENT.length, join(work, "never"), {
      signal: abort.signal,
      onBytes: () => abort.abort(),
    });
    expect(await refused(waiting)).toMatchObject({ code: "aborted" });
    expect(readdirSync(work)).not.toContain("never");
  });

  it("of an object with other than the expected length is refused", async () => {
    const target = join(work, "never");
    for (const bytes of [CONTENT.length - 1, CONTENT.length + 1]) {
      expect(await refused(store.download(key, bytes, target))).toMatchObject({ code: "remote/refused" });
    }
  });
});

describe("what the server does not let in", () => {
  it.each([
    ["a wrong key", () => storeAt(server.endpoint, { secretAccessKey: "wrong" }), "SignatureDoesNotMatch"],
    ["a bucket that is not there", () => storeAt(server.endpoint, { bucket: "nowhere" }), "NoSuchBucket"],
  ])("is told of at once: %s", async (_what, make, code) => {
    expect(await refused(make().putIfAbsent(newKey(), Buffer.from("x")))).toMatchObject({
      code: "remote/refused",
      message: expect.stringContaining(code),
    });
  });
});

describe("layers in object storage", () => {
  const pair = generateKeyPairSync("ed25519");
  let hosts = 0;
  /** Each test has a part of the bucket for itself. */
  let prefix: string;

  function host(options: { trusted?: boolean; endpoint?: string } = {}) {
    const storeDirectory = join(work, `host-${hosts++}`);
    const layers = new LayerStore({
      ...{ storeDirectory, mountDirectory: join(work, "mounts"), unpack: true, log: console },
      mounter: { mountImage: async () => {}, unmount: async () => {} },
      ...(options.trusted && { signatures: { trusted: [pair.publicKey], required: true } }),
    });
    const remote = new Remote(storeAt(options.endpoint ?? proxy.endpoint), prefix, layers.transfer);
    return { storeDirectory, layers, remote };
  }
  type Host = ReturnType<typeof host>;

  const build = async (
    { layers }: Host,
    name: string,
    content: Buffer,
    parents: string[] = [],
  ): Promise<LayerManifest> => {
    const tree = join(work, `tree-${keys++}`);
    mkdirSync(tree);
    writeFileSync(join(tree, "content"), content);
    return await layers.make.fromDirectory(name, tree, { parents, packing: { algorithm: "lz4" } });
  };
  const names = async ({ layers }: Host) => (await layers.list()).map(({ name }) => name);
  const left = ({ storeDirectory }: Host) =>
    existsSync(storeDirectory) ? readdirSync(storeDirectory).filter((file) => /^[.0-9a-f]/.test(file)) : [];

  beforeEach(() => {
    prefix = `test-${hosts}`;
  });

  it("come to another host whole, with what they were made on, whatever happens on the way", async () => {
    const [a, b] = [host(), host()];
    const base = await build(a, "100-base", Buffer.from("base"));
    const large = await build(a, "101-large", CONTENT, ["base"]);
    let failures = 0;
    proxy.fault = ({ method }) => {
      const kinds: (Fault | undefined)[] = [
        undefined,
        { kind: "status", status: 503 },
        undefined,
        { kind: "cut-request" },
        method === "GET" ? { kind: "cut-answer", after: 3000 } : { kind: "lose-answer" },
      ];
      return kinds[failures++ % kinds.length];
    };
    const progress: RemoteProgress[] = [];
    const pushed = await a.remote.push(["large"], { onProgress: (step) => void progress.push(step) });
    expect(pushed).toEqual([
      { name: "100-base", digest: base.digest, bytes: base.bytes, outcome: "pushed" },
      { name: "101-large", digest: large.digest, bytes: large.bytes, outcome: "pushed" },
    ]);
    expect(progress.at(-1)).toEqual({
      ...{ step: "push", layer: "101-large", doneBytes: large.bytes, totalBytes: large.bytes },
    });
    const pulled = await b.remote.pull(["large"]);
    expect(pulled.map(({ name, outcome }) => [name, outcome])).toEqual([
      ["100-base", "pulled"],
      ["101-large", "pulled"],
    ]);
    expect(failures).toBeGreaterThan(20);
    for (const name of await names(b)) await b.layers.verify(name);
    expect(await b.layers.inspect("large")).toEqual(await a.layers.inspect("large"));
    // Again moves nothing.
    proxy.fault = () => undefined;
    expect((await a.remote.push(["large"])).map(({ outcome }) => outcome)).toEqual(["present", "present"]);
    expect((await b.remote.pull(["large"])).map(({ outcome }) => outcome)).toEqual(["present", "present"]);
  });

  it("are refused by name when a byte comes other than it went, again and again, and leave nothing", async () => {
    const [a, b] = [host(), host()];
    await build(a, "100-base", CONTENT);
    await a.remote.push(["base"]);
    proxy.fault = (passed) => (isRange(passed) ? { kind: "alter-answer", at: 5000 } : undefined);
    expect(await refused(b.remote.pull(["base"]))).toMatchObject({
      code: "layer/corrupt",
      message: expect.stringContaining("100-base"),
    });
    expect(await names(b)).toEqual([]);
    expect(left(b)).toEqual([]);
    proxy.failFirst(1, { kind: "alter-answer", at: 5000 }, isRange);
    await b.remote.pull(["base"]);
    await b.layers.verify("base");
  });

  it("keep their names on two hosts that push different content, and only one of them may replace", async () => {
    const [a, b, c] = [host(), host(), host()];
    const first = await build(a, "100-base", Buffer.from("a"));
    await build(b, "100-base", Buffer.from("b"));
    await build(c, "100-base", Buffer.from("c"));
    const outcomes = await Promise.all([a, b].map(({ remote }) => remote.push(["base"]).catch((error) => error.code)));
    expect(outcomes.filter((outcome) => outcome === "layer/exists")).toHaveLength(1);
    await a.remote.push(["base"], { replace: true });
    const racing = [b, c].map(({ remote }) => remote.push(["base"], { replace: true }).catch((error) => error.code));
    const lost = (await Promise.all(racing)).filter((outcome) => outcome === "layer/exists");
    expect(lost.length).toBeLessThan(2);
    // Nothing was overwritten: what was replaced is there by its digest.
    const d = host();
    await d.remote.pull([first.digest]);
    await d.layers.verify("base");
  });

  it("are the same on both sides after a sync, but for names that have two contents", async () => {
    const [a, b] = [host(), host()];
    await build(a, "100-only-a", Buffer.from("a"));
    await build(b, "100-only-b", Buffer.from("b"));
    await build(a, "101-both", Buffer.from("same"));
    await build(b, "102-differs", Buffer.from("one"));
    await build(a, "102-differs", Buffer.from("two"));
    await a.remote.sync();
    const moved = await b.remote.sync();
    expect(Object.fromEntries(moved.map(({ name, outcome }) => [name, outcome]))).toEqual({
      "100-only-a": "pulled",
      "100-only-b": "pushed",
      "101-both": "pulled",
      "102-differs": "conflict",
    });
    await a.remote.sync();
    expect(await names(a)).toEqual(await names(b));
  });

  it("that were made on another base of the same name have both, and lose neither", async () => {
    const [a, b] = [host(), host()];
    const theirs = await build(a, "100-base", Buffer.from("theirs"));
    await build(a, "101-child", Buffer.from("child"), ["base"]);
    await a.remote.push(["child"]);
    const ours = await build(b, "100-base", Buffer.from("ours"));
    await b.remote.pull(["child"]);
    expect((await b.layers.inspect("100-base")).digest).toBe(ours.digest);
    expect((await b.layers.inspect(`100-base-${theirs.digest.slice(0, 12)}`)).digest).toBe(theirs.digest);
    expect(await refused(b.remote.pull(["base"]))).toMatchObject({ code: "layer/exists" });
  });

  it("are let in by the signature of a trusted key alone, where that is asked for", async () => {
    const [a, strict] = [host(), host({ trusted: true })];
    await build(a, "100-signed", Buffer.from("signed"));
    await build(a, "101-plain", Buffer.from("plain"));
    const { manifestDigest } = await a.layers.transfer.signed("signed");
    const signature = signManifest(pair.privateKey, parseDigest(manifestDigest));
    await a.layers.transfer.addSignature("signed", signature);
    await a.remote.push(["signed", "plain"]);
    proxy.passed.length = 0;
    expect(await refused(strict.remote.pull(["plain"]))).toMatchObject({ code: "layer/untrusted" });
    // Not even its image was fetched.
    expect(proxy.passed.filter(isRange)).toEqual([]);
    await strict.remote.pull(["signed"]);
    expect((await strict.layers.transfer.signed("signed")).signatures).toEqual([signature]);
    // Whoever may write to the bucket and has no key cannot give another layer the signed one's name.
    const other = await build(a, "102-other", Buffer.from("other"));
    const key = `${prefix}/names/100-signed/0000000002.json`;
    await storeAt(server.endpoint).putIfAbsent(key, Buffer.from(JSON.stringify({ digest: other.digest })));
    await a.remote.push(["other"]);
    const late = host({ trusted: true });
    expect(await refused(late.remote.pull(["signed"]))).toMatchObject({ code: "layer/untrusted" });
    expect(left(late)).toEqual([]);
  });

  it("are refused for what a bucket says that is not so", async () => {
    const [a, b] = [host(), host()];
    const { digest, bytes } = await build(a, "100-base", Buffer.from("base"));
    const manifest = await a.layers.inspect("base");
    const direct = storeAt(server.endpoint);
    const image = readFileSync(join(a.storeDirectory, digest, "image.squashfs"));
    const lie = async (name: string, told: object, content = image): Promise<Digest> => {
      const other = parseDigest(createHash("sha256").update(randomBytes(8)).digest("hex"));
      await direct.putIfAbsent(`${prefix}/blobs/sha256/${other}`, content);
      await direct.putIfAbsent(
        `${prefix}/layers/${other}.json`,
        Buffer.from(JSON.stringify({ ...manifest, digest: other, ...told })),
      );
      await direct.putIfAbsent(
        `${prefix}/names/${name}/0000000001.json`,
        Buffer.from(JSON.stringify({ digest: other })),
      );
      return other;
    };
    await lie("200-content", {});
    await lie("201-other", { digest });
    await lie("202-length", { bytes: bytes + 1 });
    await lie("203-binds", { binds: [{ source: "/etc", target: "/etc", readOnly: true, owner: "keep" }] });
    await lie("204-field", { surprise: 1 });
    await lie("205-huge", { bytes: 2 ** 50 });
    for (const [name, code] of [
      ["content", "layer/corrupt"],
      ["other", "remote/refused"],
      ["length", "remote/refused"],
      ["binds", "input/invalid"],
      ["field", "remote/refused"],
      ["huge", "layer/too-large"],
      ["nobody", "layer/not-found"],
    ]) {
      expect([name, (await refused(b.remote.pull([name as string]))).code]).toEqual([name, code]);
    }
    expect(await names(b)).toEqual([]);
    expect(left(b)).toEqual([]);
  });
});

describe("daemons that share a bucket", () => {
  const environment = (prefix: string): NodeJS.ProcessEnv => ({
    PLYBOX_REMOTE: `s3://${BUCKET}/${prefix}`,
    PLYBOX_REMOTE_ENDPOINT: server.endpoint,
    AWS_ACCESS_KEY_ID: ObjectServer.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ObjectServer.credentials.secretAccessKey,
  });
  const tarOf = (content: string): Buffer => {
    const tree = join(work, `tree-${keys++}`);
    mkdirSync(tree);
    writeFileSync(join(tree, "greeting"), content);
    return execFileSync("tar", ["-C", tree, "-cf", "-", "."]);
  };

  it("build once, and stand on it everywhere", async () => {
    await using builder = new TestDaemon({ ...environment("shared"), PLYBOX_REMOTE_PUSH: "true" });
    await using user = new TestDaemon(environment("shared"));
    await Promise.all([builder.start(), user.start()]);
    await builder.client.layers.build("100-base", tarOf("base\n"));
    const { digest } = await builder.client.layers.build("101-child", tarOf("child\n"), { parents: ["base"] });
    // Many at once ask for what is not here, and it comes once.
    const boxes = await Promise.all([1, 2, 3].map(() => user.client.create({ layers: ["busybox", "101-child"] })));
    for (const box of boxes) expect((await box.exec("cat /greeting", { cwd: "/" })).stdout).toBe("child\n");
    expect((await user.client.layers.get("child")).digest).toBe(digest);
    expect((await user.client.layers.get("base")).name).toBe("100-base");
    await builder.client.layers.build("101-child", tarOf("other\n"), { parents: ["base"], replace: true });
    expect(await user.client.remote.pull(["child"], { replace: true })).toMatchObject([
      { name: "100-base", outcome: "present" },
      { name: "101-child", outcome: "pulled" },
    ]);
    const missing = await refused(user.client.create({ layers: ["busybox", "nothing"] }));
    expect(missing).toMatchObject({ code: "layer/not-found" });
  });

  it("are told to push, pull and sync by the SDK, with progress, and by the command line", async () => {
    await using a = new TestDaemon(environment("told"));
    await using b = new TestDaemon(environment("told"));
    await Promise.all([a.start(), b.start()]);
    await a.client.layers.build("100-base", tarOf("base\n"));
    const progress: RemoteProgress[] = [];
    const onProgress = (step: object) => void progress.push(step as RemoteProgress);
    expect(await a.client.remote.push(["base"], { onProgress })).toMatchObject([
      { name: "100-base", outcome: "pushed" },
    ]);
    expect(await a.client.remote.push(["base"])).toMatchObject([{ outcome: "present" }]);
    const events = a.client.remote.push(["nothing"], { onProgress });
    expect(await refused(events)).toMatchObject({ code: "layer/not-found" });
    for (const step of progress) expect(step).toMatchObject({ step: "push", layer: "100-base" });
    const cli = (args: readonly string[], env: NodeJS.ProcessEnv) => runCli(args, { env });
    const over = { PLYBOX_SOCKET: b.config.socket };
    expect(await cli(["pull", "base"], over)).toMatchObject({
      ...{ exitCode: 0, stdout: expect.stringMatching(/^100-base {3}.* {3}pulled\n$/) },
    });
    await b.client.layers.build("102-more", tarOf("more\n"));
    await a.client.layers.build("102-more", tarOf("other\n"));
    expect(JSON.parse((await cli(["sync", "--json"], over)).stdout).layers).toMatchObject([
      { name: "100-base", outcome: "present" },
      { name: "102-more", outcome: "pushed" },
    ]);
    const conflict = await cli(["sync"], { PLYBOX_SOCKET: a.config.socket });
    expect(conflict).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("102-more") });
    expect(await cli(["push", "102-more"], { PLYBOX_SOCKET: a.config.socket })).toMatchObject({
      ...{ exitCode: 125, stderr: expect.stringContaining("exists in the object storage") },
    });
    // Without a daemon it goes the same way.
    const alone = { PLYBOX_STATE_DIR: join(work, "alone"), PLYBOX_RUN_DIR: join(work, "run"), ...environment("told") };
    expect(await cli(["pull", "100-base", "102-more"], alone)).toMatchObject({ exitCode: 0 });
    const none = await cli(["push", "base"], { ...alone, PLYBOX_REMOTE: "", PLYBOX_REMOTE_ENDPOINT: "" });
    expect(none).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("no object storage is configured") });
  });

  it("keep what was built when it cannot be pushed, and say so", async () => {
    const env = { ...environment("unpushed"), PLYBOX_REMOTE: "s3://no-such-bucket", PLYBOX_REMOTE_PUSH: "true" };
    await using daemon = new TestDaemon(env);
    await daemon.start();
    const built = await refused(daemon.client.layers.build("100-base", tarOf("base\n")));
    expect(built).toMatchObject({ code: "remote/refused", message: expect.stringContaining("NoSuchBucket") });
    expect((await daemon.client.layers.get("base")).name).toBe("100-base");
  });
});
