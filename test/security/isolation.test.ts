import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "../support/test-daemon.ts";

// What must not be possible inside has its probes, with controls, in test/containment/.

let daemon: TestDaemon;
let sandbox: Sandbox;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create({});
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

describe("what is inside", () => {
  it("has no more capabilities than container runtimes leave, and may gain none", async () => {
    const { stdout } = await sandbox.exec(["cat", "/proc/self/status"]);
    const bits = (name: string) => BigInt(`0x${new RegExp(`^${name}:\\t([0-9a-f]+)`, "m").exec(stdout)?.[1]}`);
    // The default of OCI runtimes: CHOWN … SETFCAP, 14 capabilities.
    const runtimes = 0xa80425fbn;
    for (const set of ["CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh"]) expect(bits(set) & ~runtimes).toBe(0n);
    expect(stdout).toMatch(/^NoNewPrivs:\t1$/m);
  });

  it("sees only its own processes, its own loopback and its own host name", async () => {
    const { stdout } = await sandbox.exec(
      "ls /proc | grep -c '^[0-9]' ; ls /sys/class/net; cat /proc/sys/kernel/hostname; cat /etc/hostname",
    );
    const [processes, ...rest] = stdout.trim().split("\n");
    expect(Number(processes)).toBeLessThan(8);
    expect(rest).toEqual(["lo", "plybox", "plybox"]);
  });
});
