import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { BuildProgress } from "../../src/client/index.ts";
import type { CliOutcome } from "../support/cli-context.ts";
import { runCli } from "../support/cli-context.ts";
import type { ImageParts, LayerFile } from "../support/oci-image.ts";
import { archiveOf, layoutFiles, savedFiles, sha256, writeFiles } from "../support/oci-image.ts";
import { CREDENTIALS, Registry } from "../support/registry.ts";
import { TestDaemon } from "../support/test-daemon.ts";

/** What is packed here is not looked at for its size. */
const FAST = { SQUASH_COMP: "lz4" };

let daemon: TestDaemon;
let work: string;
/** What was said of the layer `app`. */
let built: CliOutcome;
/** Image layers: a root file system of busybox, and one that changes it. */
let base: readonly LayerFile[];
const change: readonly LayerFile[] = [
  { name: "srv/.wh.removed", content: "" },
  { name: "srv/added", content: "added\n" },
  { name: "srv/twin", type: "1", link: "srv/kept" },
  { name: "lib/through-a-link", content: "here\n" },
];
const config = {
  Env: ["GREETING=hello", "PATH=/bin", "PLACE=image"],
  WorkingDir: "/srv/made",
  User: "app",
  Entrypoint: ["sh", "-c"],
  Cmd: ["echo started > /tmp/start; id -un >> /tmp/start; pwd >> /tmp/start; echo $GREETING"],
  ExposedPorts: { "8080/tcp": {} },
};

beforeAll(async () => {
  daemon = new TestDaemon(FAST);
  await daemon.start();
  work = mkdtempSync(join(tmpdir(), "plybox-images-"));
  const applets = ["sh", "cat", "ls", "id", "pwd", "stat", "env"].map(
    (name): LayerFile => ({
      ...{ name: `bin/${name}`, type: "2", link: "busybox" },
    }),
  );
  base = [
    { name: "bin/busybox", content: readFileSync("/bin/busybox"), mode: 0o755 },
    ...applets,
    { name: "tmp", type: "5", mode: 0o1777 },
    { name: "usr/lib", type: "5" },
    { name: "lib", type: "2", link: "usr/lib" },
    { name: "etc/passwd", content: "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n" },
    { name: "srv/removed", content: "x" },
    { name: "srv/kept", content: "kept\n" },
  ];
  built = await cli("layer", "build", "000-app", "--from", `oci:${layout("layout", image())}`, "--json");
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

const image = (more: Partial<ImageParts> = {}): ImageParts => ({ layers: [base, change], config, name: "1", ...more });
const layout = (name: string, ...images: readonly ImageParts[]) => writeFiles(join(work, name), layoutFiles(...images));
const cli = (...args: readonly string[]) =>
  runCli(args, {
    cwd: work,
    env: { ...FAST, PLYBOX_STATE_DIR: daemon.config.stateDir, PLYBOX_RUN_DIR: join(work, "run") },
  });
const staged = () => readdirSync(join(daemon.config.stateDir, "layers")).filter((file) => file.startsWith("."));

describe("a layer from an image", () => {
  it("has all of its layers as one, and its configuration", async () => {
    expect(built.stderr).toBe("");
    const layer = JSON.parse(built.stdout);
    const index = JSON.parse(readFileSync(join(work, "layout/index.json"), "utf8"));
    expect(layer).toMatchObject({
      parents: [],
      provenance: { kind: "image", source: `oci:${work}/layout ${index.manifests[0].digest}` },
      config: { workingDir: "/srv/made", user: "app", exposedPorts: ["8080/tcp"], env: { PLACE: "image" } },
    });
    expect(layer.provenance.inputs.map(({ kind }: { kind: string }) => kind)).toEqual([
      ...["image", "image-layer", "image-layer"],
    ]);
    const seen = await cli(
      "run",
      "--layer",
      "app",
      "--cwd",
      "/",
      "--",
      "sh",
      "-c",
      "ls /srv; cat /usr/lib/*; stat -c %h /srv/kept",
    );
    expect(seen).toMatchObject({ stderr: "", stdout: "added\nkept\nmade\ntwin\nhere\n2\n" });
  });

  it("gives a sandbox its environment, directory, user and command", async () => {
    await using sandbox = await daemon.client.create({ layers: ["app"], env: { PLACE: "here" } });
    expect(sandbox.view).toMatchObject({ cwd: "/srv/made", user: "app", env: { GREETING: "hello", PLACE: "here" } });
    const { stdout } = await sandbox.exec("id -un; pwd; echo $GREETING $PLACE");
    expect(stdout).toBe("app\n/srv/made\nhello here\n");
    expect((await sandbox.exec("id -un; pwd", { user: "root", cwd: "/tmp" })).stdout).toBe("root\n/tmp\n");
    const { start } = sandbox.view;
    expect(start?.command).toEqual([...config.Entrypoint, ...config.Cmd]);
    const exec = start?.status.kind === "running" ? start.status.exec : "";
    await sandbox.waitExec(exec);
    expect((await sandbox.exec("cat /tmp/start")).stdout).toBe("started\napp\n/srv/made\n");
  });

  it("starts what it is told to start, or nothing", async () => {
    await using none = await daemon.client.create({ layers: ["app"], start: null });
    expect(none.view.start).toBeNull();
    await using other = await daemon.client.create({ layers: ["app"], start: { command: ["pwd"] } });
    expect(other.view.start?.command).toEqual(["pwd"]);
  });

  it("is run as it is made to be where no command is given", async () => {
    expect(await cli("run", "--layer", "app")).toMatchObject({ exitCode: 0, stdout: "hello\n", stderr: "" });
    expect(await cli("run", "--layer", "busybox")).toMatchObject({
      exitCode: 125,
      stderr: expect.stringContaining("give a command"),
    });
  });

  it("is one layer whatever it came in, and another where it is run otherwise", async () => {
    const files = layoutFiles(image());
    writeFileSync(join(work, "oci.tar"), archiveOf(files));
    writeFileSync(join(work, "saved.tar.gz"), gzipSync(archiveOf(savedFiles(image({ name: "my/app:1" })))));
    const zstd = (tar: Buffer) => execFileSync("zstd", ["-q", "-c"], { input: tar, maxBuffer: 2 ** 24 });
    layout("zstd", image({ compress: zstd }), image({ name: "2", architecture: "arm64" }));
    const { digest } = await daemon.client.layers.get("app");
    for (const from of [
      "oci-archive:oci.tar",
      "oci-archive:oci.tar:1",
      "docker-archive:saved.tar.gz:my/app:1",
      "oci:zstd:1",
    ]) {
      const built = await cli("layer", "build", "001-same", "--from", from, "--json");
      expect([from, built.stderr, JSON.parse(built.stdout || "{}").digest]).toEqual([from, "", digest]);
    }
    layout("other", image({ config: { ...config, Cmd: ["pwd"] } }));
    const other = await cli("layer", "build", "002-other", "--from", "oci:other", "--json");
    expect(JSON.parse(other.stdout)).toMatchObject({ config: { cmd: ["pwd"] } });
    expect(JSON.parse(other.stdout).digest).not.toBe(digest);
  });

  it("is of erofs where that is asked for", async () => {
    const built = await cli("layer", "build", "003-erofs", "--from", "oci:layout", "--format", "erofs");
    expect(built.stderr).toBe("");
    expect((await cli("run", "--layer", "erofs")).stdout).toBe("hello\n");
  });

  it("is made of an archive that is sent, which tells how far it is", async () => {
    const seen: BuildProgress[] = [];
    const archive = archiveOf(layoutFiles(image()));
    const options = {
      archive: "oci-archive",
      image: "1",
      onProgress: (progress: BuildProgress) => seen.push(progress),
    } as const;
    const layer = await daemon.client.layers.build("004-sent", archive, options);
    expect(layer.digest).toBe((await daemon.client.layers.get("app")).digest);
    // The last of them is that all is packed.
    const { doneBytes, totalBytes } = seen.at(-1) ?? { doneBytes: 0, totalBytes: null };
    expect(doneBytes).toBeGreaterThan(1_000_000);
    expect(totalBytes).toBe(doneBytes);
    await expect(daemon.client.layers.build("004-x", archive, { archive: "docker-archive" })).rejects.toMatchObject({
      code: "image/invalid",
      status: 422,
    });
    const asked = daemon.client.layers.build("004-x", archive, { ...options, image: "2" });
    await expect(asked).rejects.toMatchObject({
      code: "image/invalid",
      message: expect.stringContaining("there are 1"),
    });
  });

  it.each<[string, () => Map<string, Buffer>, string]>([
    [
      "a layer that was changed",
      () => {
        const files = layoutFiles(image());
        const [name = "", layer = Buffer.alloc(0)] = [...files].find(([, content]) => content[0] === 0x1f) ?? [];
        // Of gzip's head, which says nothing of the content.
        return files.set(name, Buffer.concat([layer.subarray(0, 9), Buffer.from([7]), layer.subarray(10)]));
      },
      "does not match its digest",
    ],
    [
      "a layer that is not what its configuration says",
      () => {
        const files = layoutFiles(image());
        const index = JSON.parse(String(files.get("index.json")));
        const at = (digest: string) => `blobs/${digest.replace(":", "/")}`;
        const manifest = JSON.parse(String(files.get(at(index.manifests[0].digest))));
        manifest.layers.reverse();
        const bytes = Buffer.from(JSON.stringify(manifest));
        files.set(at(sha256(bytes)), bytes);
        index.manifests = [{ ...index.manifests[0], digest: sha256(bytes), size: bytes.length }];
        return files.set("index.json", Buffer.from(JSON.stringify(index)));
      },
      "does not match its diff_id",
    ],
    ["a name that leads out", () => layoutFiles(image({ layers: [base, [{ name: "../evil" }]] })), 'leads out by ".."'],
    [
      "a link that leads out",
      () => layoutFiles(image({ layers: [base, [{ name: "l", type: "1", link: "../../etc/shadow" }]] })),
      'leads out by ".."',
    ],
    [
      "a file below a link of its own",
      () => layoutFiles(image({ layers: [base, [{ name: "l", type: "2", link: "/etc" }, { name: "l/passwd" }]] })),
      "no directory",
    ],
    ["another machine's programs", () => layoutFiles(image({ architecture: "s390x" })), "linux/s390x"],
  ])("is refused with %s, and leaves nothing", async (_what, files, message) => {
    const before = readdirSync(join(daemon.config.stateDir, "layers"));
    const sent = daemon.client.layers.build("005-refused", archiveOf(files()), { archive: "oci-archive" });
    await expect(sent).rejects.toMatchObject({ status: 422, message: expect.stringContaining(message) });
    expect(readdirSync(join(daemon.config.stateDir, "layers"))).toEqual(before);
  });

  it("is bounded in what it unpacks to", async () => {
    await using bounded = new TestDaemon({ ...FAST, PLYBOX_LAYER_BYTES: "3000000" });
    await bounded.start();
    const bomb = image({ layers: [base, [{ name: "bomb", content: Buffer.alloc(4_000_000) }]] });
    const sent = bounded.client.layers.build("000-bomb", gzipSync(archiveOf(layoutFiles(bomb))), {
      archive: "oci-archive",
    });
    await expect(sent).rejects.toMatchObject({ code: "layer/too-large" });
    expect(readdirSync(join(bounded.config.stateDir, "layers")).filter((file) => file.startsWith("."))).toEqual([]);
  });

  it.each([
    [["--from", "oci:none"], "it has no oci-layout"],
    [["--from", "oci-archive:none.tar"], "does not exist"],
    [["--from", "oci-archive:layout"], "is a directory"],
    [["--from", "alpine"], "is no image"],
    [["--from", "oci:layout", "--parent", "app"], "--parent"],
    [["--from", "oci:layout", "--authfile", "a"], "--authfile"],
    [["--from", "oci:layout", "--from-tar", "-"], "one of"],
    [["--from-tar", "-", "--platform", "linux/arm64"], "--platform"],
  ])("says what is wrong with %j", async (args, message) => {
    const built = await cli("layer", "build", "006-wrong", ...args);
    expect(built).toMatchObject({ exitCode: 125, stderr: expect.stringContaining(message) });
  });
});

describe("an image in a registry", () => {
  let registry: Registry;
  let digest: string;
  beforeAll(async () => {
    registry = await Registry.start();
    const arm = image({ architecture: "arm64", layers: [[{ name: "arm" }]], config: {} });
    writeFiles(join(work, "pushed"), layoutFiles(image()));
    writeFiles(join(work, "arm"), layoutFiles(arm));
    digest = registry.push(join(work, "pushed"), "my/app:1");
    registry.push(join(work, "arm"), "my/arm:1");
  });
  afterAll(async () => registry[Symbol.asyncDispose]());

  it("is pulled with credentials, by tag or digest, and says whom it came from", async () => {
    const seen: string[] = [];
    const pull = (name: string, at: string) =>
      daemon.client.layers.pull(name, `docker://${registry.host}/my/app${at}`, {
        credentials: CREDENTIALS,
        onProgress: ({ step }) => seen.push(step),
      });
    const layer = await pull("010-pulled", ":1");
    expect(layer).toMatchObject({
      digest: (await daemon.client.layers.get("app")).digest,
      config: { user: "app" },
    });
    expect(new Set(seen)).toContain("pack");
    expect((await pull("011-pulled", `@${digest}`)).digest).toBe(layer.digest);
    // Of what is new to the store the manifest says where it is from.
    registry.push(layout("fresh", image({ layers: [base] })), "my/fresh:1");
    const source = `docker://${registry.host}/my/fresh:1`;
    const fresh = await daemon.client.layers.pull("012-fresh", source, { credentials: CREDENTIALS });
    expect(fresh.provenance).toMatchObject({ hosts: [registry.host], commands: [["skopeo", "copy", source]] });
  });

  it("is pulled by a user's own file of credentials", async () => {
    const from = ["--from", `docker://${registry.host}/my/app:1`];
    const built = await cli("layer", "build", "014-file", ...from, "--authfile", registry.authFile);
    expect(built).toMatchObject({ exitCode: 0, stderr: "pulling 014-file\n" });
    const refused = await cli("layer", "build", "015-none", ...from);
    expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("image/pull-failed") });
    expect(refused.stderr).toContain("unauthorized");
  });

  it("is refused where it is not to be had, and leaves nothing", async () => {
    const pull = (name: string, password = CREDENTIALS.password): Promise<unknown> =>
      daemon.client.layers.pull("016-refused", `docker://${registry.host}/${name}`, {
        credentials: { ...CREDENTIALS, password },
      });
    const failure = (code: string, text: string) => ({ code, message: expect.stringContaining(text) });
    await expect(pull("my/app:1", "no")).rejects.toMatchObject(failure("image/pull-failed", "unauthorized"));
    await expect(pull("my/app:2")).rejects.toMatchObject(failure("image/pull-failed", "manifest unknown"));
    await expect(pull("my/arm:1")).rejects.toMatchObject(failure("image/invalid", "linux/arm64"));
    expect(staged()).toEqual([]);
  });

  it("is taken for another machine where that is asked for", async () => {
    const options = { credentials: CREDENTIALS, platform: "linux/arm64" };
    expect(
      (await daemon.client.layers.pull("017-arm", `docker://${registry.host}/my/arm:1`, options)).config?.cmd,
    ).toEqual([]);
  });

  it("is no path of the daemon's", async () => {
    const pulled = daemon.client.layers.pull("018-path", `oci:${work}/layout`);
    await expect(pulled).rejects.toMatchObject({ code: "input/invalid", field: "image" });
  });

  it("gives away no credentials: neither by a command line nor by what is left", async () => {
    // It takes connections and says nothing, so that skopeo waits while it is looked at.
    await using silent = createServer((socket) => socket.on("error", () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const image = `docker://127.0.0.1:${(silent.address() as AddressInfo).port}/my/app:1`;
    const abort = new AbortController();
    const pulling = daemon.client.layers.pull("019-secret", image, {
      ...{ credentials: CREDENTIALS, signal: abort.signal },
    });
    await once(silent, "connection");
    const lines = (await commandLines()).join("\n");
    abort.abort();
    await expect(pulling).rejects.toThrow();
    expect(lines).toContain(image);
    expect(lines).not.toContain(CREDENTIALS.password);
    await vi.waitFor(() => expect(staged()).toEqual([]), { timeout: 60_000 });
  });
});

/** Of all that runs on this machine. */
async function commandLines(): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  return await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
}
