import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
let sandbox: Sandbox;
const listener = createServer();
let port: number;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create({});
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  port = (listener.address() as { port: number }).port;
});
afterAll(async () => {
  listener.close();
  await daemon[Symbol.asyncDispose]();
});

/** Exit code of a Python program run outside, as the user of the tests. */
const outside = (program: string): Promise<number> =>
  new Promise((resolve) => {
    execFile("/usr/bin/python3", ["-c", program], (error) => resolve(error === null ? 0 : Number(error.code)));
  });

const inside = async (program: string): Promise<number | null> =>
  (await sandbox.exec(["/usr/bin/python3", "-c", program])).exitCode;

/** Harmless where they succeed. Each succeeds for root outside, and must fail for root inside. */
const PROBES: Readonly<Record<string, (values: { pid: number; port: number }) => string>> = {
  "see a process of the host": ({ pid }) => `import os; os.stat("/proc/${pid}") if ${pid} > 2 else 1/0`,
  "reach a listener on the host's loopback": ({ port }) =>
    `import socket; socket.create_connection(("127.0.0.1", ${port}), 2)`,
  "open a raw packet socket": () => "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
  "make a network namespace": () => "import ctypes; assert ctypes.CDLL(None).unshare(0x40000000) == 0",
  "make a cgroup namespace in a user namespace of its own": () =>
    "import ctypes; c = ctypes.CDLL(None); assert c.unshare(0x10000000) == 0; assert c.unshare(0x2000000) == 0",
  "mount a tmpfs in a mount namespace of its own": () =>
    "import ctypes; c = ctypes.CDLL(None); assert c.unshare(0x20000) == 0; assert c.mount(b'n', b'/', None, 0x44000, None) == 0; assert c.mount(b'x', b'/mnt', b'tmpfs', 0, None) == 0",
  "open a kernel setting for writing": () => "open('/proc/sys/kernel/core_pattern', 'r+')",
  "open the switch that drops the host's caches for writing": () =>
    "import os; os.open('/proc/sys/vm/drop_caches', os.O_WRONLY)",
  "make a device node": () =>
    "import os, tempfile; p = tempfile.mktemp(); os.mknod(p, 0o20600, os.makedev(1, 3)); os.unlink(p)",
  "set the clock to what it is": () =>
    "import ctypes, time; t = (ctypes.c_long * 2)(); c = ctypes.CDLL(None); c.clock_gettime(0, t); assert c.clock_settime(0, t) == 0",
  "read the host's shadow passwords": () => "open('/etc/shadow').read()",
  "write to the host's programs": () =>
    "import os; os.open('/usr/bin', os.O_RDONLY | os.O_DIRECTORY); os.access('/usr/bin', os.W_OK) or 1/0",
  "see the kernel's log device": () => "import os; os.stat('/dev/kmsg')",
  "attach to PID 1 with ptrace": () =>
    "import ctypes, os; c = ctypes.CDLL(None); p = os.fork() if os.path.exists('/etc/shadow') else 1\nif p == 0:\n import time; time.sleep(5); os._exit(0)\nr = c.ptrace(16, p, 0, 0)\nos.path.exists('/etc/shadow') and os.kill(p, 9)\nassert r == 0",
};

describe.each(Object.entries(PROBES))("%s", (_, probe) => {
  it("works outside, and not inside", async () => {
    const program = probe({ pid: process.pid, port });
    expect(await outside(program)).toBe(0);
    expect(await inside(program)).not.toBe(0);
  });
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

  it("inherits no descriptor of the daemon or the launcher", async () => {
    const { stdout } = await sandbox.exec(["ls", "/proc/self/fd"]);
    expect(stdout.trim().split("\n")).toEqual(["0", "1", "2", "3"]); // 3 is of ls itself
  });

  it("cannot end PID 1", async () => {
    await sandbox.exec("kill -9 1; kill -TERM 1; kill -SEGV 1; true");
    expect((await sandbox.exec(["echo", "alive"])).stdout).toBe("alive\n");
  });
});
