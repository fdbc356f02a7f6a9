import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const MIB = 1024 ** 2;
const ROOT = "/sys/fs/cgroup/memory";
/** Asks for 100 MiB at once, and holds them. */
const BOMB = "dd if=/dev/zero of=/dev/null bs=100M count=1";
let daemon: TestDaemon;
let sandbox: Sandbox;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create({ layers: ["busybox"], limits: { memoryBytes: 256 * MIB } });
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** The names of the cgroups that commands have below the sandbox's own in the hierarchy of memory. */
async function cgroupsOf({ inspect }: { readonly inspect: Sandbox["inspect"] }): Promise<readonly string[]> {
  const { state } = await inspect();
  if (state.kind !== "running") throw new Error(`the sandbox is ${state.kind}`);
  const [, path = ""] = /^\d+:memory:(.*)$/m.exec(readFileSync(`/proc/${state.pid}/cgroup`, "utf8")) ?? [];
  return readdirSync(join(ROOT, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** Resolves when no command has a cgroup there: they are removed a little after the command's end. */
async function untilNoCgroup(of: Sandbox): Promise<void> {
  while ((await cgroupsOf({ inspect: () => of.inspect() })).length > 0) await of.exec("true");
}

describe.runIf(existsSync(join(ROOT, "memory.limit_in_bytes")))("a command's memory limit", () => {
  it("ends a memory bomb and nothing beside it, and says what it held at most", async () => {
    const neighbour = await sandbox.spawn("read line; exit 3", { stdin: true });
    const report = await sandbox.exec(BOMB, { memoryLimitBytes: 32 * MIB });
    expect(report).toMatchObject({ limit: "memory", exitCode: null, signal: "SIGKILL" });
    expect(report.memoryPeakBytes).toBeGreaterThan(16 * MIB);
    expect(report.memoryPeakBytes).toBeLessThanOrEqual(32 * MIB);
    await neighbour.end();
    // It fails while the kernel's counts have gone up, and for a reason of its own.
    const other = await neighbour.exit;
    expect(other).toMatchObject({ limit: null, exitCode: 3 });
    expect(other).not.toHaveProperty("memoryPeakBytes");
    expect((await sandbox.usage()).oomKills).toBe(0);
  });

  it("leaves no cgroup behind, ten times in a row", async () => {
    for (let i = 0; i < 10; i++) {
      expect(await sandbox.exec(BOMB, { memoryLimitBytes: 16 * MIB })).toMatchObject({ limit: "memory" });
    }
    await untilNoCgroup(sandbox);
  });
});
