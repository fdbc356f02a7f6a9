import { execFile, execFileSync } from "node:child_process";
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatHeader } from "../../src/layers/tar/tar-header.ts";
import { runCli } from "../support/cli-context.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const run = promisify(execFile);

let daemon: TestDaemon;
let work: string;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  work = mkdtempSync(join(tmpdir(), "plybox-tar-"));
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

const stored = () => readdirSync(join(daemon.config.stateDir, "layers")).filter((file) => /^[.0-9a-f]/.test(file));
const imageOf = (digest: string, format: string) => join(daemon.config.stateDir, "layers", digest, `image.${format}`);
const cli = (...args: readonly string[]) =>
  runCli(args, { env: { PLYBOX_STATE_DIR: daemon.config.stateDir, PLYBOX_RUN_DIR: join(work, "run") } });

/** A tree with all that an archive can say. */
async function makeTree(): Promise<string> {
  const tree = join(work, "tree");
  if (readdirSync(work).includes("tree")) return tree;
  mkdirSync(tree);
  const script = `set -e; cd "$1"; mkdir -m 1777 tmp; mkdir -p a/b; echo hello > a/b/file; ln a/b/file a/twin
    chown 1000:65535 a/b/file; chmod 4751 a/b/file; ln -s /etc/passwd absolute; ln -s ../../../out up; mkfifo a/pipe; mknod a/null c 1 3; mknod a/disk b 7 300
    head -c 3000000 /dev/urandom > a/random; touch -d @1000000000.5 a/random; touch "$(printf 'a/\\377\\n')"; mkdir "$(printf %0250d 1)"
    touch "$(printf %0250d 1)/$(printf %0250d 2)"; chmod 750 .
    python3 -c "
import os
os.setxattr('a', 'user.odd', b'a=b\\n\\0c')
os.setxattr('a/twin', 'security.capability', bytes([1, 0, 0, 2, 1] + [0] * 15))"`;
  await run("bash", ["-c", script, "bash", tree]);
  return tree;
}

const archive = async (...args: readonly string[]): Promise<string> => {
  const path = join(work, `archive${args.join("").replaceAll("/", "")}.tar`);
  await run("tar", ["-C", await makeTree(), ...args, "--xattrs", "--xattrs-include=*", "-cf", path, "."]);
  return path;
};

/** All that can be seen of a tree: times to the second, as squashfs has them. */
const show = `cd "$1"; find . -mindepth 1 -printf '%P %y %m %U:%G %n %l %Ts\n' | LC_ALL=C sort
  find . -type f -exec sha256sum {} + | LC_ALL=C sort; stat -c '%n %t:%T' a/null a/disk
  python3 -c "import os; print(os.getxattr('a', 'user.odd'), os.getxattr('a/twin', 'security.capability'))"; stat -c %a .`;
const shown = async (path: string): Promise<string> =>
  (await run("bash", ["-c", show, "bash", path], { encoding: "latin1" })).stdout;

/** Unpacks a layer's image by the tools of its format. */
async function unpacked(digest: string, format: "squashfs" | "erofs"): Promise<string> {
  const target = mkdtempSync(join(work, "unpacked-"));
  if (format === "squashfs") await run("unsquashfs", ["-f", "-d", target, imageOf(digest, format)]);
  else await run("fsck.erofs", [`--extract=${target}`, "--overwrite", imageOf(digest, format)]);
  return target;
}

describe("a layer from a tar archive", () => {
  it("has what was in it, sent by the SDK, and says where it came from", async () => {
    const path = await archive("--format=pax");
    const layer = await daemon.client.layers.build("100-sent", createReadStream(path), { algorithm: "zstd", level: 3 });
    const sum = (await run("sha256sum", [path])).stdout.slice(0, 64);
    expect(layer).toMatchObject({
      name: "100-sent",
      format: "squashfs",
      compression: { algorithm: "zstd", level: 3, blockBytes: 131_072 },
      provenance: { kind: "tar", source: `upload sha256:${sum}` },
    });
    expect(await shown(await unpacked(layer.digest, "squashfs"))).toBe(await shown(await makeTree()));
    expect((await daemon.client.layers.list()).map(({ name }) => name)).toContain("100-sent");
  });

  it("has the same digest whenever it is built, compressed or not, by the CLI from a file or a pipe", async () => {
    const path = await archive("--format=pax");
    await run("zstd", ["-q", "-k", path]);
    const [plain, compressed] = await Promise.all([
      cli("layer", "build", "101-plain", "--from-tar", path, "--compression", "zstd:3", "--json"),
      cli("layer", "build", "102-compressed", "--from-tar", `${path}.zst`, "--compression", "zstd:3", "--json"),
    ]);
    expect([plain.exitCode, compressed.exitCode]).toEqual([0, 0]);
    const { digest } = await daemon.client.layers.get("100-sent");
    expect(JSON.parse(plain.stdout)).toMatchObject({ digest });
    expect(JSON.parse(compressed.stdout)).toMatchObject({ digest, name: "102-compressed" });
  });

  it("is an erofs where that is asked for", async () => {
    const path = await archive("--format=gnu");
    const { stdout } = await cli("layer", "build", "103-erofs", "--from-tar", path, "--format", "erofs", "--json");
    const { digest, format } = JSON.parse(stdout);
    expect(format).toBe("erofs");
    await using sandbox = await daemon.client.create({ layers: ["busybox", "erofs"] });
    const { stdout: seen } = await sandbox.exec("cat a/twin; stat -c '%a %u %h' a/b/file; stat -c %t:%T a/null", {
      cwd: "/",
    });
    expect(seen).toBe("hello\n4751 1000 2\n1:3\n");
    expect(readdirSync(await unpacked(digest, "erofs"))).toContain("absolute");
  });

  it("removes what lies below it as its whiteouts say", async () => {
    const below = join(work, "below");
    for (const path of ["opaque", "kept", "full"]) mkdirSync(join(below, path), { recursive: true });
    for (const path of ["opaque/old", "kept/gone", "kept/old", "full/old"]) writeFileSync(join(below, path), "");
    const above = join(work, "above");
    for (const path of ["opaque", "kept"]) mkdirSync(join(above, path), { recursive: true });
    for (const path of ["opaque/.wh..wh..opq", "opaque/new", "kept/.wh.gone", ".wh.full"])
      writeFileSync(join(above, path), "");
    let lower: string | undefined;
    for (const [name, tree] of Object.entries({ "200-below": below, "201-above": above })) {
      const tar = execFileSync("tar", ["-C", tree, "-cf", "-", "."]);
      const parents = name === "201-above" ? ["below"] : [];
      const { digest } = await daemon.client.layers.build(name, tar, { parents });
      lower ??= digest;
    }
    expect((await daemon.client.layers.get("above")).parents).toEqual([lower]);
    const orphan = daemon.client.layers.build("202-orphan", Buffer.alloc(1024), { parents: ["nobody"] });
    await expect(orphan).rejects.toMatchObject({ code: "layer/not-found" });
    await using sandbox = await daemon.client.create({ layers: ["busybox", "below", "above"] });
    const { stdout } = await sandbox.exec("ls -d /full; cd /; find opaque kept | sort", { cwd: "/" });
    expect(stdout).toBe("kept\nkept/old\nopaque\nopaque/new\n");
  });

  it.each([
    ["a name that leads out", { name: "../../../../../../tmp/plybox-escaped" }],
    ["an absolute name", { name: "/tmp/plybox-escaped" }],
    ["a hard link to the host", { name: "link", type: "1", link: "/etc/passwd" }],
  ])("is refused for %s, by name, and leaves nothing", async (_what, fields) => {
    const before = stored();
    const honest = {
      name: "a",
      type: "0",
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: 0,
      mtime: 0,
      link: "",
      major: 0,
      minor: 0,
    };
    const tar = Buffer.concat([formatHeader(honest), formatHeader({ ...honest, ...fields }), Buffer.alloc(1024)]);
    await expect(daemon.client.layers.build("300-hostile", tar)).rejects.toMatchObject({
      code: "file/bad-archive",
      status: 422,
      message: expect.stringContaining(JSON.stringify(fields.name)),
    });
    expect(stored()).toEqual(before);
    expect(readdirSync("/tmp")).not.toContain("plybox-escaped");
  });

  it("leaves nothing of an upload that ends too early, and serves on", async () => {
    const before = stored();
    const bytes = readFileSync(await archive("--format=pax"));
    async function* cut(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 100_000);
      throw new Error("the line is cut");
    }
    await expect(daemon.client.layers.build("300-cut", cut())).rejects.toThrow();
    await expect.poll(stored).toEqual(before);
    await expect(daemon.client.layers.build("300-cut", bytes.subarray(0, 1_000_000))).rejects.toMatchObject({
      code: "file/bad-archive",
      message: expect.stringContaining("cut off in the middle of an entry"),
    });
    expect(stored()).toEqual(before);
  });

  it("refuses to be two things, nothing, or no file", async () => {
    for (const [args, message] of [
      [[], "one of --from-dir, --from-tar, --from"],
      [["--from-dir", work, "--from-tar", "x"], "one of --from-dir, --from-tar, --from"],
      [["--from-tar", join(work, "nowhere")], "does not exist"],
      [["--from-tar", work], "give it to --from-dir"],
      [["--from-tar", join(work, "nowhere"), "--compression", "zstd:high"], "not a compression"],
    ] as const) {
      const { exitCode, stderr } = await cli("layer", "build", "300-none", ...args);
      expect([exitCode, stderr]).toEqual([125, expect.stringContaining(message)]);
    }
  });
});
