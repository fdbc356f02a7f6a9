import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { PlyboxApiError } from "../../src/client/index.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const MIB = 1024 ** 2;
let daemon: TestDaemon;
let sandbox: Sandbox;
let pid: number;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create({
    layers: ["busybox"],
    upper: { kind: "tmpfs", bytes: 8 * MIB, inodes: 100 },
    limits: {
      ...{ memoryBytes: 128 * MIB, pids: 64, cpus: 0.5, cpuWeight: 200 },
      ...{ openFiles: 64, fileSizeBytes: 2 * MIB },
    },
  });
  const { state } = await sandbox.inspect();
  if (state.kind !== "running") throw new Error(`the sandbox is ${state.kind}`);
  ({ pid } = state);
});
afterAll(() => daemon[Symbol.asyncDispose]());

const shell = async (line: string): Promise<string> => (await sandbox.exec(line, { merge: true })).stdout;

/** What the kernel has in a control file of the sandbox's own cgroup of version 1. */
function control(controller: string, file: string): string {
  const groups = readFileSync(`/proc/${pid}/cgroup`, "utf8");
  const [, path = ""] = new RegExp(`^\\d+:${controller}:(.*)$`, "m").exec(groups) ?? [];
  return readFileSync(join("/sys/fs/cgroup", controller, path, file), "utf8").trim();
}

it("leaves no swap beside the memory", () => {
  expect(control("memory", "memory.limit_in_bytes")).toBe(String(128 * MIB));
  expect(control("memory", "memory.memsw.limit_in_bytes")).toBe(String(128 * MIB));
});

it("has a quota of the cores, and a weight beside others", () => {
  expect(control("cpu", "cpu.cfs_quota_us")).toBe("50000");
  expect(control("cpu", "cpu.shares")).toBe("2048");
});

it("bounds open files, the size of a file and core dumps, for good", async () => {
  expect(await shell("ulimit -n; ulimit -Hn; ulimit -f; ulimit -Hf; ulimit -c; ulimit -Hc")).toBe(
    "64\n64\n4096\n4096\n0\n0\n",
  );
  expect(await shell("ulimit -n 65 || echo kept")).toContain("kept");
  expect(await shell("ulimit -f 4097 || echo kept")).toContain("kept");
  expect(await shell("ulimit -c 1 || echo kept")).toContain("kept");
});

it("leaves the agent descriptors enough to serve more commands than one of them could open files", async () => {
  const running = await Promise.all(Array.from({ length: 40 }, () => sandbox.spawn("read line", { stdin: true })));
  await Promise.all(running.map((command) => command.end()));
  expect(await Promise.all(running.map(async (command) => (await command.exit).exitCode))).toEqual(Array(40).fill(1));
});

it("bounds what the file routes write as well", async () => {
  const writing = sandbox.files.write("/root/big", new Uint8Array(2 * MIB + 1));
  await expect(writing).rejects.toThrow(PlyboxApiError);
  await expect(writing).rejects.toMatchObject({ code: "file/no-space" });
  await sandbox.files.write("/root/big", new Uint8Array(2 * MIB));
  await sandbox.files.remove("/root/big");
});

it("bounds the files of an upper in memory by number as well", async () => {
  expect(await shell("df -i / | tail -1")).toMatch(/ 100 /);
  const filling = "i=0; while true > /root/f$i; do i=$((i+1)); done; echo $i; rm /root/f*";
  expect(Number(/\d+\n$/.exec(await shell(filling))?.[0])).toBeLessThan(100);
});

it("has the kernel take commands before the agent, and before the host's processes, where memory is short", async () => {
  expect(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8")).toBe("0\n");
  expect(await shell("cat /proc/self/oom_score_adj; echo -1 > /proc/self/oom_score_adj || echo kept")).toMatch(
    /^500\n.*\nkept\n$/,
  );
});

it("gives an upper in memory no more than three quarters of it by default", async () => {
  await using small = await daemon.client.create({ layers: ["busybox"], limits: { memoryBytes: 64 * MIB } });
  expect(small.view.upper).toEqual({ kind: "tmpfs", bytes: 48 * MIB });
  expect(small.view.limits).toMatchObject({ cpuWeight: 100, openFiles: 65_536, fileSizeBytes: null });
});
