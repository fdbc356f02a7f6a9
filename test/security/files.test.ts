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
