// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax of Dockerfiles
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BuildProgress, LayerView } from "../../src/client/index.ts";
import { runCli } from "../support/cli-context.ts";
import { layoutFiles, writeFiles } from "../support/oci-image.ts";
import { TestDaemon } from "../support/test-daemon.ts";

/** What is packed here is not looked at for its size. */
const FAST = { SQUASH_COMP: "lz4" };

let daemon: TestDaemon;
let work: string;
let builds = 0;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), "plybox-dockerfiles-"));
  daemon = new TestDaemon(FAST);
  await daemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

type Files = Readonly<Record<string, string>>;

/** A directory with these files. */
function directory(files: Files): string {
  const root = mkdtempSync(join(work, "context-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

const lines = (...all: readonly string[]): string => all.join("\n");

interface Built {
  readonly layer: LayerView;
  /** What was told on the way, each once in a row, by the lines of the Dockerfile: `2 run`, `3 cached`. */
  readonly told: readonly string[];
}

/** Builds a directory with a Dockerfile in it over the API. */
async function buildIn(root: string, options: object = {}): Promise<Built> {
  const told: string[] = [];
  const onProgress = ({ instruction, step }: BuildProgress): void => {
    const line = `${instruction?.line} ${step}`;
    if (told.at(-1) !== line) told.push(line);
  };
  const context = execFileSync("tar", ["-C", root, "-cf", "-", "."], { maxBuffer: 2 ** 26 });
  const name = `100-test-${++builds}`;
  return { told, layer: await daemon.client.layers.buildDockerfile(name, context, { onProgress, ...options }) };
}

const build = (dockerfile: string, files: Files = {}, options: object = {}): Promise<Built> =>
  buildIn(directory({ Dockerfile: dockerfile, ...files }), options);

/** What a shell line says in a sandbox on a layer, line by line. */
async function said(layer: string, line: string): Promise<readonly string[]> {
  await using sandbox = await daemon.client.create({ layers: [layer], start: null });
  return (await sandbox.exec(`{ ${line}; } 2>&1`)).stdout.trimEnd().split("\n");
}

const cliWith = (env: NodeJS.ProcessEnv, ...args: readonly string[]) =>
  runCli(args, {
    cwd: work,
    env: { ...FAST, PLYBOX_STATE_DIR: daemon.config.stateDir, PLYBOX_RUN_DIR: join(work, "run"), ...env },
  });
const cli = (...args: readonly string[]) => cliWith({}, ...args);

describe("a layer from a Dockerfile", () => {
  it("is what its stages make, on the layer that the last one stands on", async () => {
    const { layer, told } = await build(
      lines(
        "ARG BASE=busybox",
        "FROM $BASE AS build",
        "ARG GREETING=nobody",
        "WORKDIR /src",
        "COPY . .",
        'RUN mkdir /out && echo "$GREETING from $(cat sub/name)" > /out/said && rm sub/gone && ls -A > /out/listed',
        "FROM busybox AS never",
        "RUN false",
        "FROM ${BASE}",
        "COPY --from=build --chown=user /out/said /app/",
        "COPY --from=build /out /app/out",
        "COPY <<EOF /app/made",
        "for $PLACE.",
        "EOF",
        "RUN rm -r /etc/pam.d && rm -r /var && mkdir /var && ln -s said /app/link && ln /app/said /app/twin",
        "ENV PLACE=image",
        "USER user",
        "WORKDIR /app",
        "EXPOSE 80",
        "HEALTHCHECK CMD true",
        'CMD ["sleep", "1000"]',
      ),
      {
        "sub/name": "context",
        "sub/gone": "x",
        "left.out": "x",
        ".dockerignore": "*.out\nDockerfile\n.dockerignore\n",
      },
      { buildArgs: { GREETING: "hello", UNKNOWN: "x" } },
    );
    const busybox = await daemon.client.layers.get("busybox");
    expect(layer).toMatchObject({
      parents: [busybox.digest],
      config: {
        workingDir: "/app",
        user: "user",
        env: { PLACE: "image" },
        cmd: ["sleep", "1000"],
        exposedPorts: ["80/tcp"],
      },
      provenance: { kind: "dockerfile" },
      warnings: ["line 20: HEALTHCHECK has no effect here", "the Dockerfile declares no argument UNKNOWN"],
    });
    expect(layer.provenance.inputs?.map(({ kind }) => kind)).toEqual(["layer", "file", "file"]);
    expect(layer.provenance.commands).toHaveLength(2);
    // The stage that nobody needs is not built.
    expect(told.filter((line) => /^[78] /.test(line))).toEqual([]);
    const look =
      "id -un; pwd; cat said made; cat out/listed; readlink link; stat -c '%U %h' twin; ls /src; ls /etc/pam.d /var; echo $PLACE";
    expect(await said(layer.name, look)).toEqual([
      ...["user", "/app", "hello from context", "for .", "sub", "said", "user 2"],
      ...["ls: /src: No such file or directory", "ls: /etc/pam.d: No such file or directory", "/var:", "image"],
    ]);
  });

  it("is found again where nothing has changed, and made from where something has", async () => {
    const dockerfile = [
      "FROM busybox",
      "WORKDIR /a",
      "COPY one .",
      "RUN cat one > first",
      "COPY two .",
      "RUN cat two > second",
    ];
    const files = { one: "1", two: "2", ".dockerignore": "Dockerfile" };
    const first = await build(lines(...dockerfile), files);
    expect(first.told).toEqual(expect.arrayContaining(["2 pack", "3 pack", "4 pack", "5 pack", "6 pack"]));
    const again = await build(lines("# the same", ...dockerfile), files);
    // Neither a step nor the layer is packed again.
    expect(again.told.filter((line) => line.endsWith("pack"))).toEqual([]);
    expect(again.told.filter((line) => line.endsWith("cached"))).toEqual(
      [3, 4, 5, 6, 7].map((line) => `${line} cached`),
    );
    expect(again.layer.digest).toBe(first.layer.digest);
    const changed = await build(lines(...dockerfile), { ...files, two: "3" });
    expect(changed.told.filter((line) => /cached|\d pack/.test(line))).toEqual([
      ...["2 cached", "3 cached", "4 cached", "5 pack", "6 pack"],
    ]);
    expect(await said(changed.layer.name, "cat /a/first /a/second")).toEqual(["13"]);
    const anew = await build(lines(...dockerfile), files, { noCache: true });
    expect(anew.told.filter((line) => line.endsWith("cached"))).toEqual([]);
    // What was made anew is in nobody's way, and what a later build may find stays until it is asked for.
    await daemon.client.storage.collect({});
    expect((await daemon.client.storage.collect({ dryRun: true })).items).toEqual([]);
    const { items } = await daemon.client.storage.collect({ dryRun: true, buildCache: true });
    expect(new Set(items.map(({ reason }) => reason))).toEqual(new Set(["step"]));
    expect(items.length).toBeGreaterThan(5);
  });

  it("has what archives, patterns and links of the context and of stages bring", async () => {
    const root = directory({
      Dockerfile: lines(
        "FROM busybox AS one",
        "RUN mkdir -p /lib/real /x && ln -s real /lib/link && touch /x/a.so /x/b.so /x/c.txt && ln -s a.so /x/s.so",
        "FROM one",
        "ADD tree.tar.gz /added/",
        "ADD plain.gz /added/",
        "COPY --chmod=750 --chown=7:8 *.txt linked /copied/",
        "COPY lib /lib",
        "COPY --from=0 /x/*.so /sos/",
        "COPY --from=busybox /bin/busybox /bin/tool/",
      ),
      "a.txt": "a",
      "b.txt": "b",
      "lib/link/new": "new",
      "there/file": "linked",
    });
    symlinkSync("there/file", join(root, "linked"));
    mkdirSync(join(root, "tree/deep"), { recursive: true });
    writeFileSync(join(root, "tree/deep/file"), "deep");
    execFileSync("tar", ["-C", join(root, "tree"), "-czf", join(root, "tree.tar.gz"), "."]);
    execFileSync("sh", ["-c", "echo plain | gzip > plain.gz"], { cwd: root });
    const { layer } = await buildIn(root);
    const look =
      "cat /added/deep/file; ls /added; stat -c '%n %a %u:%g' /copied/*; cat /lib/real/new; readlink /lib/link; ls /sos; /bin/tool/busybox echo ok";
    expect(await said(layer.name, look)).toEqual([
      ...["deepdeep", "plain.gz", "/copied/a.txt 750 7:8", "/copied/b.txt 750 7:8", "/copied/linked 750 7:8"],
      ...["newreal", "a.so", "b.so", "s.so", "ok"],
    ]);
  });

  it("begins with nothing, where it is made from scratch", async () => {
    const root = directory({
      Dockerfile: 'FROM scratch\nCOPY busybox /bin/\nSHELL ["/bin/busybox", "sh", "-c"]\nRUN echo made > /made',
    });
    copyFileSync("/bin/busybox", join(root, "busybox"));
    const { layer } = await buildIn(root);
    expect(layer.parents).toEqual([]);
    await using sandbox = await daemon.client.create({ layers: [layer.name] });
    expect((await sandbox.exec(["/bin/busybox", "cat", "/made"])).stdout).toBe("made\n");
  });

  it("may have more steps than a sandbox has layers", async () => {
    const steps = Array.from({ length: 34 }, (_, at) => `WORKDIR /made/${at}`);
    const { layer } = await build(
      lines("FROM busybox", "RUN rm -r /etc/pam.d", ...steps, "RUN ls -d /etc/pam.d /made/* | wc -l > /n"),
    );
    expect(await said(layer.name, "cat /n; ls -d /etc/pam.d")).toEqual([
      "34",
      "ls: /etc/pam.d: No such file or directory",
    ]);
  });

  it("has the configuration of the image that it stands on, which the command line takes from this machine too", async () => {
    const busybox = [
      { name: "bin/busybox", content: execFileSync("cat", ["/bin/busybox"], { maxBuffer: 2 ** 24 }), mode: 0o755 },
      { name: "bin/sh", type: "2", link: "busybox" } as const,
    ];
    const config = { Env: ["FROM=image"], WorkingDir: "/base", Entrypoint: ["/bin/sh", "-c"], Cmd: ["true"] };
    writeFiles(join(work, "layout"), layoutFiles({ layers: [busybox], config, name: "1" }));
    writeFileSync(
      join(work, "Dockerfile"),
      lines("FROM oci:layout AS base", "FROM base", "RUN echo $FROM > said", 'CMD ["false"]'),
    );
    const outcome = await cli("layer", "build", "100-on-image", "--dockerfile", "Dockerfile", "--json");
    expect(outcome).toMatchObject({ stderr: "", exitCode: 0 });
    expect(JSON.parse(outcome.stdout)).toMatchObject({
      config: { env: { FROM: "image" }, workingDir: "/base", entrypoint: ["/bin/sh", "-c"], cmd: ["false"] },
    });
    await using sandbox = await daemon.client.create({ layers: ["on-image"], start: null });
    expect((await sandbox.exec(["/bin/busybox", "cat", "said"])).stdout).toBe("image\n");
  });
});

it("busybox is a preset too, packed as it is asked for", async () => {
  const { layers } = daemon.client;
  const known = await layers.get("busybox");
  expect(await layers.preset("busybox")).toMatchObject({ name: "000-busybox", digest: known.digest });
  await expect(layers.preset("busybox", { algorithm: "gzip" })).rejects.toMatchObject({ code: "layer/exists" });
  const replaced = await layers.preset("busybox", { algorithm: "gzip", replace: true });
  expect(replaced).toMatchObject({ name: "000-busybox", compression: { algorithm: "gzip" } });
  // What was made on the earlier one says so.
  expect((await layers.get("100-test-1")).warnings?.join()).toContain("000-busybox");
});

describe("a Dockerfile that cannot be built is refused, and nothing stays", () => {
  const left = (): object => ({
    builds: readdirSync(join(daemon.config.stateDir, "builds")),
    staged: readdirSync(join(daemon.config.stateDir, "layers")).filter((name) => name.startsWith(".")),
    runs: readdirSync(join(daemon.config.runDir, "run")),
  });
  const NOTHING = { builds: [], staged: [], runs: [] };

  it.each([
    [["FROM busybox", "BOGUS x"], {}, { code: "build/invalid", line: 2 }],
    [["RUN true"], {}, { code: "build/invalid", line: 1 }],
    [["FROM busybox", "COPY --from=5 a b"], {}, { code: "build/invalid", line: 2 }],
    [["FROM busybox"], { target: "none" }, { code: "build/invalid" }],
    [["FROM busybox", "COPY ../a /"], {}, { code: "build/invalid", line: 2 }],
    [["FROM busybox", "COPY missing /"], {}, { code: "build/invalid", line: 2 }],
    [["FROM busybox", "COPY outside /"], {}, { code: "build/invalid", line: 2 }],
    [["FROM busybox", "COPY above /"], {}, { code: "build/invalid", line: 2 }],
    [["FROM busybox", "COPY --chown=none file /"], {}, { code: "build/invalid", line: 2 }],
    [["FROM busybox", "COPY file /bin/sh/x"], {}, { code: "build/step-failed", line: 2 }],
    [["FROM busybox", "ADD https://example.com/a /"], {}, { code: "build/unsupported", line: 2 }],
    [["FROM oci:/tmp/x"], {}, { code: "build/unsupported", line: 1 }],
    [["FROM busybox", 'RUN ["/none"]'], {}, { code: "build/step-failed", line: 2 }],
    [["FROM scratch", "RUN true"], {}, { code: "build/step-failed", line: 2 }],
    [["FROM busybox"], { dockerfile: "none" }, { code: "build/invalid", field: "dockerfile" }],
  ])("%j %j", async (dockerfile, options, expected) => {
    const root = directory({ Dockerfile: lines(...dockerfile), file: "x" });
    symlinkSync("/etc/hostname", join(root, "outside"));
    symlinkSync("../x", join(root, "above"));
    await expect(buildIn(root, options)).rejects.toMatchObject(expected);
    expect(left()).toEqual(NOTHING);
  });

  it("a command that fails is told with the last that it said", async () => {
    const dockerfile = lines(
      "FROM busybox",
      "",
      "RUN for i in $(seq 100); do echo line $i; done; echo why >&2; exit 3",
    );
    const error = await build(dockerfile).then(String, (failure: Error) => failure);
    expect(error).toMatchObject({ code: "build/step-failed", line: 3 });
    const { message } = error as Error;
    expect(message).toContain("ended with 3:\n");
    expect(message.split("\n").slice(-2)).toEqual(["line 100", "why"]);
    expect(message.split("\n")).toHaveLength(21);
    expect(left()).toEqual(NOTHING);
  });

  it("a command that writes more than a layer may hold is ended", async () => {
    writeFileSync(join(work, "Dockerfile"), "FROM busybox\nRUN dd if=/dev/zero of=/large bs=1M count=32; sleep 1000");
    const env = { PLYBOX_LAYER_BYTES: String(16 * 1024 ** 2) };
    const outcome = await cliWith(
      env,
      "layer",
      "build",
      "100-large",
      "--dockerfile",
      "Dockerfile",
      "--context",
      directory({}),
    );
    expect(outcome).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("(layer/too-large)") });
    expect(outcome.stderr).toContain("line 2: RUN dd");
    expect(left()).toMatchObject({ builds: [], staged: [] });
  });

  it("one whose client goes away in the middle of a command ends with it", async () => {
    const abort = new AbortController();
    const onProgress = ({ detail }: BuildProgress): void => {
      if (detail === "begun") abort.abort();
    };
    const building = build("FROM busybox\nRUN echo begun; sleep 1000", {}, { onProgress, signal: abort.signal });
    await expect(building).rejects.toThrow();
    await expect.poll(left).toEqual(NOTHING);
  });

  it("and on the command line what does not go together", async () => {
    for (const args of [
      ["--target", "x", "--from-dir", "."],
      ["--dockerfile", "x", "--from-dir", "."],
      ["--no-cache", "--from-dir", "."],
    ]) {
      expect(await cli("layer", "build", "100-none", ...args)).toMatchObject({ exitCode: 125, stdout: "" });
    }
    chmodSync(work, 0o700);
    const outcome = await cli("layer", "build", "100-none", "--dockerfile", "missing");
    expect(outcome).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("missing") });
  });
});
