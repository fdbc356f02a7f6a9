import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bindsFor } from "../../src/cli/values/allowed-paths.ts";
import type { LaunchPlan } from "../../src/model/launch-plan.ts";
import { NativeLauncher } from "../../src/native/launcher.ts";
import { OneShotBox } from "../support/one-shot-box.ts";

/** Gives a descriptor of a directory of the host to whoever connects: what a leak would be. */
const LEAK = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777); server.listen()
directory = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY)
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    socket.send_fds(connection, [b"x"], [directory])
    connection.close()
`;

/** What can be done through such a descriptor, by name. All of it is harmless, and allowed to everybody outside. */
const REACH = `
import json, os, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
fd = socket.recv_fds(s, 1, 1)[1][0]
def attempt(what):
    try: what()
    except OSError as error: return os.strerror(error.errno)
    return "done"
def change(path, flags): os.close(os.open(path, flags, 0o644, dir_fd=fd))
print(json.dumps({
    "look": attempt(lambda: os.stat("file", dir_fd=fd)),
    "read": attempt(lambda: change("file", os.O_RDONLY)),
    "list": attempt(lambda: change(".", os.O_RDONLY | os.O_DIRECTORY)),
    "run": attempt(lambda: subprocess.run([f"/proc/self/fd/{fd}/true"], pass_fds=[fd], check=True)),
    "write": attempt(lambda: change("file", os.O_WRONLY)),
    "make": attempt(lambda: change("new", os.O_CREAT | os.O_WRONLY)),
    "move": attempt(lambda: os.rename("here", "there", src_dir_fd=fd, dst_dir_fd=fd)),
    "remove": attempt(lambda: os.unlink("old", dir_fd=fd)),
    "whiteout": attempt(lambda: os.mknod("/dev/shm/whiteout", 0o20600, 0)),
}))
`;

let box: OneShotBox;
let outside: string;
let leak: ChildProcess;
const launch = NativeLauncher.prototype.launch;

beforeAll(async () => {
  box = await OneShotBox.open();
  outside = join(box.directory, "outside");
  mkdirSync(outside);
  writeFileSync(join(box.work, "reach.py"), REACH);
  copyFileSync("/bin/true", join(outside, "true"));
  const socket = join(box.work, "leak.sock");
  leak = spawn("python3", ["-c", LEAK, socket, outside], { stdio: ["ignore", "pipe", "inherit"] });
  await once(leak.stdout ?? leak, "data");
});
afterEach(() => {
  NativeLauncher.prototype.launch = launch;
});
afterAll(async () => {
  const ended = once(leak, "exit");
  leak.kill();
  await ended;
  await box[Symbol.asyncDispose]();
});

/** What a sandbox whose plan says `landlock` can do outside its root. */
async function reach(landlock?: LaunchPlan["landlock"]): Promise<Record<string, string>> {
  for (const name of ["file", "here", "old"]) writeFileSync(join(outside, name), "");
  for (const name of ["new", "there"]) execFileSync("rm", ["-f", join(outside, name)]);
  // Nobody, as root inside is, may do there what it likes.
  execFileSync("chmod", ["0777", outside, join(outside, "file"), join(outside, "true")]);
  chmodSync(box.directory, 0o711);
  if (landlock !== undefined) {
    NativeLauncher.prototype.launch = function (plan) {
      return launch.call(this, { ...plan, landlock });
    };
  }
  const binds = bindsFor({ read: [], write: [box.work] }, "/");
  const { stdout, stderr } = await box.shell(`python3 ${box.work}/reach.py ${box.work}/leak.sock`, { binds });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

const REFUSED = "Permission denied";
const READS = { look: "done", read: "done", list: "done", run: "done" };
const CHANGES = { write: "done", make: "done", move: "done", remove: "done", whiteout: "done" };
const NO_CHANGES = { write: REFUSED, make: REFUSED, move: REFUSED, remove: REFUSED, whiteout: REFUSED };

describe("a descriptor of the host's that has come inside", () => {
  it("gives all that its files allow, without a fence", async () => {
    expect(await reach("off")).toEqual({ ...READS, ...CHANGES });
    expect(existsSync(join(outside, "there"))).toBe(true);
  });

  it("lets nothing be changed in a sandbox that shows nothing of the host", async () => {
    expect(await reach("writes")).toEqual({ ...READS, ...NO_CHANGES });
  });

  it("lets nothing even be read in a sandbox that shows a part of the host", async () => {
    const refused = { look: "done", read: REFUSED, list: REFUSED, run: REFUSED };
    expect(await reach()).toEqual({ ...refused, ...NO_CHANGES });
    expect(await reach("all")).toEqual({ ...refused, ...NO_CHANGES });
  });
});

describe("within the fence", () => {
  it.each(["off", "writes", "all"] as const)("everything goes on as without it (%s)", async (landlock) => {
    NativeLauncher.prototype.launch = function (plan) {
      return launch.call(this, { ...plan, landlock });
    };
    const { stdout } = await box.shell(
      `mkdir -p /a/b /c && echo 1 > /a/b/f && mv /a/b/f /c/g && ln /c/g /a/b/h && cat /a/b/h && rm -r /a
      mkfifo /tmp/p && ln -s p /tmp/q && (cat /tmp/q & echo 2 > /tmp/p; wait)
      python3 -c '
import ctypes, os, signal, socket, tempfile
s = socket.socket(socket.AF_UNIX); s.bind("/tmp/s"); s.listen(); socket.socket(socket.AF_UNIX).connect("/tmp/s")
a = socket.socket(socket.AF_UNIX); a.bind("\\0abstract"); a.listen(); socket.socket(socket.AF_UNIX).connect("\\0abstract")
with tempfile.TemporaryFile() as f: f.write(b"3"); f.flush(); print(open("/proc/self/fd/%d" % f.fileno()).read())
r, w = os.pipe(); open("/proc/self/fd/%d" % w, "w").write("4"); print(os.read(r, 1).decode())
m = os.memfd_create("m"); open("/proc/self/fd/%d" % m, "w").write("5"); print(open("/proc/self/fd/%d" % m).read())
q = ctypes.CDLL(None).mq_open(b"/q", os.O_CREAT | os.O_RDWR, 0o600, None); print(6 if q >= 0 else "no queue")
p = os.fork() or signal.pause(); os.kill(p, 15); print(os.waitpid(p, 0)[1])
i, o = os.openpty(); print(os.path.exists(os.ttyname(o)) and open(os.ttyname(o), "w").isatty())'`,
    );
    expect(stdout.split("\n").slice(0, -1)).toEqual(["1", "2", "3", "4", "5", "6", "15", "True"]);
  });
});
