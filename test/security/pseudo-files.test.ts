import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "../support/test-daemon.ts";

/** What the container runtimes mask by any of their defaults. */
const MASKED = [
  ...["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"],
  ...["/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"],
  ...["/sys/devices/virtual/powercap", "/sys/dev/block", "/sys/firmware", "/sys/fs/selinux"],
  ...["/sys/devices/system/cpu/cpu0/thermal_throttle", "/proc/key-users"],
];
/** What they leave readable. */
const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** Of each path: "absent", or how many bytes, or entries below it, it shows. */
const MEASURE = `
import json, os, sys
def measure(path):
    if not os.path.lexists(path): return "absent"
    if os.path.isdir(path): return sum(len(d) + len(f) for _, d, f in os.walk(path))
    try: return len(open(path, "rb").read(65536))
    except OSError as error: return os.strerror(error.errno)
print(json.dumps({path: measure(path) for path in sys.argv[1:]}))
`;

/** Why each path cannot be opened for writing, or "open"; nothing is written. A directory's first file stands for it. */
const OPEN_TO_WRITE = `
import json, os, sys
def attempt(path):
    if os.path.isdir(path):
        path = next((os.path.join(d, f) for d, _, files in os.walk(path) for f in sorted(files)), None)
        if path is None: return "empty"
    try: os.close(os.open(path, os.O_WRONLY))
    except OSError as error: return os.strerror(error.errno)
    return "open"
print(json.dumps({path: attempt(path) for path in sys.argv[1:]}))
`;

let daemon: TestDaemon;
let sandbox: Sandbox;
beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create({ limits: { memoryBytes: 128 * 1024 * 1024 } });
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

async function inside<T>(program: string, ...words: string[]): Promise<T> {
  const { stdout, stderr } = await sandbox.exec(["python3", "-c", program, ...words]);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as T;
}
const outside = <T>(program: string, ...words: string[]): T =>
  JSON.parse(execFileSync("python3", ["-c", program, ...words]).toString()) as T;

describe("the kernel's files", () => {
  it("that container runtimes mask show nothing", async () => {
    const here = outside<Record<string, number | string>>(MEASURE, ...MASKED);
    const seen = await inside<Record<string, number | string>>(MEASURE, ...MASKED);
    // The control: outside, most of what this kernel has shows something.
    expect(Object.values(here).filter((size) => typeof size === "number" && size > 0).length).toBeGreaterThan(3);
    for (const path of MASKED) expect([path, seen[path]]).toEqual([path, here[path] === "absent" ? "absent" : 0]);
  });

  it("that they leave readable cannot be written to", async () => {
    const paths = [...READ_ONLY, "/proc/sys/kernel/core_pattern"].filter((path) => existsSync(path));
    const here = outside<Record<string, string>>(OPEN_TO_WRITE, ...paths);
    const seen = await inside<Record<string, string>>(OPEN_TO_WRITE, ...paths);
    expect(here["/proc/sys/kernel/core_pattern"]).toBe("open");
    for (const path of paths) expect(seen[path]).toMatch(/^(?:Read-only file system|Permission denied|empty)$/);
    // Not for lack of rights alone.
    const { stdout } = await sandbox.exec("grep ' /proc/' /proc/mounts");
    for (const path of READ_ONLY.filter((path) => existsSync(path))) {
      expect(stdout).toMatch(new RegExp(`^\\S+ ${path} proc ro,nosuid,nodev,noexec`, "m"));
    }
  });

  it("in /sys cannot be written to, whoever owns them", async () => {
    const { stdout } = await sandbox.exec("grep -c ' /sys sysfs ro,nosuid,nodev,noexec' /proc/mounts");
    expect(stdout).toBe("1\n");
  });
});

describe("/dev", () => {
  it("has the least that programs expect, and no device of the host", async () => {
    const { stdout } = await sandbox.exec("cd /dev; ls -A | tr '\\n' ' '; ls -A pts mqueue shm | tr '\\n' ' '");
    expect(stdout.trim().split(/\s+/)).toEqual([
      ...["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty"],
      ...["urandom", "zero", "mqueue:", "pts:", "ptmx", "shm:"],
    ]);
  });

  it("/dev/shm holds half of the sandbox's memory, and so many files", async () => {
    const fill = `
import json, os
room = os.statvfs("/dev/shm")
made = 0
try:
    while True: os.close(os.open(f"/dev/shm/{made}", os.O_CREAT)); made += 1
except OSError as error: print(json.dumps([room.f_blocks * room.f_frsize, room.f_files, made, os.strerror(error.errno)]))
`;
    // The directory is one of the files.
    expect(await inside(fill)).toEqual([64 * 1024 * 1024, 16_384, 16_383, "No space left on device"]);
  });

  it("gives 256 terminals, and leaves the machine's to the others", async () => {
    const open = `
import json, os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = []
try:
    while len(held) < 300: held.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
except OSError as error: print(json.dumps([len(held), os.strerror(error.errno)]))
`;
    expect(await inside(open)).toEqual([256, "No space left on device"]);
  });

  it("has a message queue of the sandbox's own, which the host does not see", async () => {
    const make = `
import ctypes, json, os
queue = ctypes.CDLL(None).mq_open(b"/plybox-test", os.O_CREAT | os.O_RDWR, 0o600, None)
print(json.dumps([queue >= 0, os.listdir("/dev/mqueue")]))
`;
    expect(await inside(make)).toEqual([true, ["plybox-test"]]);
    const look = `
import ctypes, json, os
print(json.dumps(ctypes.CDLL(None, use_errno=True).mq_open(b"/plybox-test", os.O_RDONLY)))
`;
    expect(outside(look)).toBe(-1);
  });
});

describe("keys", () => {
  it("of the host's session cannot be found inside", async () => {
    // A key in this thread's own session keyring, which a child inherits; it goes with the process.
    const hold = `
import ctypes, json, subprocess, sys
c = ctypes.CDLL(None, use_errno=True)
c.syscall(250, 1, None)
key = c.syscall(248, b"user", b"plybox-test", b"secret", 6, ctypes.c_int(-3))
found = subprocess.run([sys.executable, "-c", sys.argv[1], str(key)], capture_output=True, text=True).stdout
print(json.dumps([key, found]))
`;
    const look = `
import ctypes, sys
c = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(16)
print(c.syscall(250, 11, int(sys.argv[1]), buffer, 16))`;
    const [key, found] = outside<[number, string]>(hold, look);
    expect(key).toBeGreaterThan(0);
    expect(found).toBe("6\n");
    const { stdout } = await sandbox.exec(["python3", "-c", look, String(key)]);
    expect(stdout).toBe("-1\n");
  });
});
