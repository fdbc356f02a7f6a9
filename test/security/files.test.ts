import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const SECRET = "of the host alone";
let daemon: TestDaemon;
let sandbox: Sandbox;
let outside: string;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create();
  outside = mkdtempSync(join(tmpdir(), "plybox-secret-"));
  writeFileSync(join(outside, "secret"), SECRET);
});
afterAll(async () => {
  rmSync(outside, { recursive: true });
  await daemon[Symbol.asyncDispose]();
});

const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  await work.then(
    () => "done",
    (error: { code?: unknown }) => error.code,
  );

/** Ways out that a hostile sandbox may lay; each is a link's target, with what is looked for behind it. */
const WAYS = ["/proc/1/root", "/proc/self/root", "/proc/self/cwd", "/proc/1/cwd", "/proc/self/fd/3", "/proc/1/fd/3"];

it.each(WAYS)("a symlink to %s leads nowhere outside", async (target) => {
  await sandbox.files.symlink(target, "/tmp/way", { overwrite: true });
  const secret = `/tmp/way${join(outside, "secret")}`;
  expect(await codeOf(sandbox.files.read(secret))).not.toBe("done");
  expect(await codeOf(sandbox.files.write(secret, "x", { parents: true }))).not.toBe("done");
  expect(readFileSync(join(outside, "secret"), "utf8")).toBe(SECRET);
});

it.each(["../../../../../..", "/../../../.."])("%s ends at the sandbox's root", async (up) => {
  await sandbox.files.symlink(`${up}${join(outside, "secret")}`, "/tmp/up", { overwrite: true });
  expect(await codeOf(sandbox.files.read("/tmp/up"))).toBe("file/not-found");
  expect(await codeOf(sandbox.files.read(`/tmp/${up}${join(outside, "secret")}`))).toBe("file/not-found");
});

it("the same ways are open to what is inside, where they lead to what is inside: the probe works", async () => {
  await sandbox.files.write("/tmp/inner", "inner");
  await sandbox.files.symlink("../../../tmp/inner", "/tmp/up", { overwrite: true });
  expect(await sandbox.files.readText("/tmp/up")).toBe("inner");
  expect(readFileSync(join("/proc/self/root", outside, "secret"), "utf8")).toBe(SECRET);
});

it("an archive cannot write through a symlink that it brings", async () => {
  await sandbox.exec(
    "mkdir -p /tmp/pack /tmp/victim && cd /tmp/pack && ln -s /tmp/victim way && tar -cf /tmp/a.tar way",
  );
  await sandbox.exec("cd /tmp/pack && rm way && mkdir way && echo x > way/f && tar -rf /tmp/a.tar way/f");
  await codeOf(sandbox.files.uploadTar("/tmp/unpacked", await sandbox.files.readStream("/tmp/a.tar")));
  expect(await sandbox.files.exists("/tmp/victim/f")).toBe(false);
});

it("FIFOs and devices neither block nor are read", async () => {
  await sandbox.exec("mkfifo /tmp/pipe");
  for (const path of ["/tmp/pipe", "/dev/zero", "/dev/tty"]) {
    expect(await codeOf(sandbox.files.read(path))).toBe("file/not-regular");
  }
});

it("a reader that stops holds back itself alone, and the daemon's memory stays bounded", async () => {
  await sandbox.exec("truncate -s 1G /tmp/large");
  const before = process.memoryUsage().rss;
  const stalled = (await sandbox.files.readStream("/tmp/large"))[Symbol.asyncIterator]();
  await stalled.next();
  let bytes = 0;
  for await (const piece of await sandbox.files.readStream("/tmp/large", { to: 300 * 1024 ** 2 }))
    bytes += piece.length;
  expect(bytes).toBe(300 * 1024 ** 2);
  // Client and daemon are this one process.
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 ** 2);
  await stalled.return?.(undefined);
});

/** Names of control characters, each six bytes as JSON, below one another until a line of them would take 2 MiB. */
const DIG = `
import os
os.mkdir("/tmp/pit")
at = os.open("/tmp/pit", os.O_RDONLY)
for _ in range(1400):
    name = b"\\x01" * 255
    os.mkdir(name, dir_fd=at)
    below = os.open(name, os.O_RDONLY, dir_fd=at)
    os.close(at)
    at = below
open("/tmp/line", "w").write("\\x01" * 70000 + "needle" + "\\x01" * 70000)
`;

it("what is inside cannot make the agent break the protocol by how deep it digs, or by what it writes", async () => {
  expect(await sandbox.exec(["python3", "-c", DIG])).toMatchObject({ exitCode: 0, stderr: "" });
  const { files } = sandbox;
  const listed = [];
  for await (const line of files.list("/tmp/pit", { depth: 2000 })) listed.push(line);
  // The first directory whose path is longer than any that could be asked for is there, and not entered.
  expect(listed).toHaveLength(18);
  expect(listed.at(-1)).toMatchObject({ error: { code: "file/failed" } });
  const found = [];
  for await (const match of files.search("/tmp/pit", { name: "*" })) found.push(match);
  expect(found).toHaveLength(17);
  const matches = [];
  for await (const match of files.search("/tmp", { content: "needle", contextBytes: 65_536 })) matches.push(match);
  expect(matches).toMatchObject([{ path: "line", text: expect.stringContaining("needle") }]);
  expect(matches.map((match) => ("text" in match ? match.text.toString().length : 0))).toEqual([65_536]);
  expect((await sandbox.inspect()).state.kind).toBe("running");
  await files.remove("/tmp/pit", { recursive: true });
});
