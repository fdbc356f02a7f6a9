import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { ExecOptions, Sandbox } from "../../src/client/index.ts";
import { BOMBS } from "../support/bombs.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const MIB = 1024 ** 2;
let daemon: TestDaemon;
let sandbox: Sandbox;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterAll(() => daemon[Symbol.asyncDispose]());
beforeEach(async () => {
  sandbox = await daemon.client.create({
    upper: { kind: "tmpfs", bytes: 16 * MIB, inodes: 2000 },
    limits: { memoryBytes: 96 * MIB, pids: 40, openFiles: 64, fileSizeBytes: 64 * MIB },
  });
});
// Whatever went off: the sandbox serves the next command, and what the bomb left running can be ended from there.
afterEach(async () => {
  expect(await sandbox.exec("kill -9 -1; echo works")).toMatchObject({ exitCode: 0, stdout: "works\n", limit: null });
  while ((await sandbox.processes()).processes.length > 1);
  await sandbox.remove();
});

const codeOf = (error: { code: string }): string => error.code;
const explode = (bomb: string, options: ExecOptions = {}) => sandbox.exec(bomb, { timeLimitMs: 100_000, ...options });

it("a fork bomb is refused its forks, and told so", async () => {
  const report = await explode(BOMBS.forks);
  expect(report).toMatchObject({ limit: "pids", exitCode: 1 });
  expect(report.limitsMet?.refusedForks).toBeGreaterThan(0);
});

it("a fork bomb that never gives up is killed whole for it", async () => {
  const report = await explode(`trap "" TERM; ${BOMBS.forksForEver}`);
  expect(report).toMatchObject({ limit: "pids", signal: "SIGKILL" });
  expect(report.limitsMet?.refusedForks).toBeGreaterThanOrEqual(10_000);
  await expect.poll(async () => (await sandbox.processes()).total).toBe(1);
});

it("a zombie factory is refused its forks, and its dead are buried", async () => {
  expect(await explode(BOMBS.zombies)).toMatchObject({ limit: "pids" });
});

it("a zombie factory leaves the agent nothing to bury when it has ended", async () => {
  await explode(BOMBS.zombies);
  while ((await sandbox.processes()).total > 1);
});

it("a memory bomb is killed by the kernel, and told so", async () => {
  expect(await explode(BOMBS.memory)).toMatchObject({
    ...{ limit: "memory", exitCode: null, signal: "SIGKILL", limitsMet: { memoryKills: 1 } },
  });
  expect(await sandbox.usage()).toMatchObject({ oomKills: 1 });
});

it("a memory bomb of many small processes is told as well, whichever of them the kernel kills", async () => {
  const report = await explode(BOMBS.memoryInMany);
  expect(report).toMatchObject({ limit: "memory" });
  expect(report.limitsMet?.memoryKills).toBeGreaterThan(0);
});

it("a memory bomb under a limit of its own says so even where it makes the best of it", async () => {
  const report = await explode(`(${BOMBS.memory}); exit 0`, { memoryLimitBytes: 16 * MIB });
  expect(report).toMatchObject({ limit: "memory", exitCode: 0, limitsMet: { memoryKills: 1 } });
});

it("a memory bomb that its command has left in the background counts for the sandbox, and for no later command", async () => {
  await sandbox.exec("mkfifo /root/go");
  const left = await explode(`(read go < /root/go; ${BOMBS.memory}) > /dev/null 2>&1 &`);
  expect(left).toMatchObject({ limit: null, exitCode: 0 });
  expect(await sandbox.usage()).toMatchObject({ oomKills: 0 });
  await sandbox.exec("echo > /root/go");
  while ((await sandbox.usage()).oomKills === 0) await sandbox.exec("true");
  expect(await explode("exit 3")).toMatchObject({ limit: null, exitCode: 3 });
});

it.each([
  ["bytes", BOMBS.diskBytes],
  ["inodes", BOMBS.diskInodes],
] as const)("a disk filler runs out of %s, and is told so", async (upperFull, bomb) => {
  expect(await explode(bomb)).toMatchObject({ limit: "disk", limitsMet: { upperFull } });
  // It is full, and that is not what this one failed at.
  expect(await explode("exit 3")).toMatchObject({ limit: null, exitCode: 3, limitsMet: { upperFull } });
  expect(await explode("rm -r /root/full")).toMatchObject({ limit: null, exitCode: 0 });
  expect(await explode("echo > /root/again")).not.toHaveProperty("limitsMet");
});

it("an upper that may be larger than the memory leaves the sandbox alive when it fills that", async () => {
  await using tight = await daemon.client.create({
    upper: { kind: "tmpfs", bytes: 1024 * MIB },
    limits: { memoryBytes: 48 * MIB },
  });
  expect(await tight.exec(BOMBS.diskBytes)).toMatchObject({ limit: "memory", signal: "SIGKILL" });
  expect((await tight.inspect()).state.kind).toBe("running");
  // There is hardly any room left for who removes it either, whom the kernel may kill too.
  const removed = () => tight.files.remove("/root/full", { missing: true }).then(() => "removed", codeOf);
  await expect.poll(removed).toBe("removed");
  expect(await tight.exec("echo works")).toMatchObject({ stdout: "works\n", limit: null });
});

it("a file that grows too large ends who writes it", async () => {
  await using roomy = await daemon.client.create({ limits: { fileSizeBytes: MIB } });
  expect(await roomy.exec(BOMBS.fileSize)).toMatchObject({ limit: "file-size", exitCode: null, signal: "SIGXFSZ" });
  expect((await roomy.exec("stat -c %s /root/large")).stdout).toBe(`${MIB}\n`);
});

it("a signal that looks like a limit is none where there is no such limit", async () => {
  await using free = await daemon.client.create();
  expect(await free.exec("kill -XFSZ $$")).toMatchObject({ limit: null, signal: "SIGXFSZ" });
  expect(await free.exec("kill -KILL $$")).toMatchObject({ limit: null, signal: "SIGKILL" });
  expect(await free.exec("exit 137")).toMatchObject({ limit: null, exitCode: 137 });
});

it("a descriptor hog is refused more, which it alone can tell", async () => {
  const report = await explode(BOMBS.descriptors);
  expect(report).toMatchObject({ limit: null, exitCode: 1, stderr: expect.stringContaining("Too many open files") });
  expect(report).not.toHaveProperty("limitsMet");
});

it("an output flood is ended at its limit", async () => {
  expect(await explode(BOMBS.output, { outputLimitBytes: MIB })).toMatchObject({ limit: "output", stdoutBytes: MIB });
});

it("what was met and ended nothing is told beside an end of the command's own", async () => {
  const report = await explode(`(${BOMBS.memory}); (${BOMBS.forks}) 2> /dev/null; exit 0`);
  expect(report).toMatchObject({ limit: null, exitCode: 0 });
  expect(report.limitsMet).toMatchObject({ memoryKills: 1, refusedForks: expect.any(Number) });
  expect(await sandbox.inspectExec(report.exec)).toMatchObject({ limitsMet: report.limitsMet });
});
