import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bindsFor } from "../../src/cli/values/allowed-paths.ts";
import type { Bind } from "../../src/model/launch-plan.ts";
import type { Outcome } from "../support/one-shot-box.ts";
import { OneShotBox } from "../support/one-shot-box.ts";

let box: OneShotBox;

beforeAll(async () => {
  box = await OneShotBox.open();
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});

const read = (...paths: string[]): Bind[] => bindsFor({ read: paths, write: [] }, "/");
const write = (...paths: string[]): Bind[] => bindsFor({ read: [], write: paths }, "/");
const python = (program: string): string => `python3 -c '${program}'`;

/** Exchanges two paths as fast as it can until its stdin ends, and leaves them as they were. */
const SWAPPER = `
import ctypes, select, sys
exchange = lambda: ctypes.CDLL(None, use_errno=True).renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)
assert exchange() == 0
print("ready", flush=True)
count = 1
while not select.select([sys.stdin], [], [], 0)[0] or count % 2:
    assert exchange() == 0
    count += 1
`;

describe("a path that becomes a symbolic link after it was named", () => {
  let shown: string;
  let secret: string;
  beforeAll(() => {
    shown = join(box.work, "race/tree/inner");
    secret = join(box.directory, "secret/inner");
    for (const [directory, content] of [
      [shown, "shown"],
      [secret, "secret"],
    ] as const) {
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, "file"), content);
    }
    symlinkSync(join(box.directory, "secret"), join(box.work, "race/link"));
  });

  it("is refused by name, and nothing is shown", async () => {
    const binds = read(shown);
    const [tree, aside] = [join(box.work, "race/tree"), join(box.work, "race/aside")];
    renameSync(tree, aside);
    symlinkSync(join(box.directory, "secret"), tree);
    try {
      await expect(box.shell("true", { binds })).rejects.toMatchObject({
        code: "bind/changed",
        message: `${shown} is not what was named any more: its path leads through a symbolic link by now`,
        step: "open-binds",
        errno: "ELOOP",
      });
    } finally {
      execFileSync("rm", [tree]);
      renameSync(aside, tree);
    }
  });

  it("never leads elsewhere, however the swap falls", async () => {
    const binds = write(shown);
    const paths = [join(box.work, "race/tree"), join(box.work, "race/link")];
    const swapper = spawn("python3", ["-c", SWAPPER, ...paths], { stdio: ["pipe", "pipe", "inherit"] });
    await once(swapper.stdout, "data");
    const seen: string[] = [];
    const outside: string[] = [];
    const bothOf = (kinds: readonly string[]) => new Set(kinds).size > 1;
    while (seen.length < 120 || !bothOf(seen) || !bothOf(outside)) {
      outside.push(readFileSync(join(shown, "file"), "utf8"));
      const outcome = await box.shell(`cat ${shown}/file`, { binds, layers: ["busybox"] }).then(
        ({ stdout }) => stdout,
        ({ code }: { code: string }) => code,
      );
      seen.push(outcome);
    }
    swapper.stdin.end();
    await once(swapper, "close");
    // The control: whoever follows the name outside is led astray.
    expect(new Set(outside)).toEqual(new Set(["shown", "secret"]));
    expect(new Set(seen)).toEqual(new Set(["shown", "bind/changed"]));
  });

  it("is refused when it has gone, or is something else", async () => {
    const gone = join(box.work, "gone");
    mkdirSync(gone);
    const binds = read(gone);
    execFileSync("sh", ["-c", `rmdir ${gone}`]);
    await expect(box.shell("true", { binds })).rejects.toMatchObject({ code: "bind/changed", errno: "ENOENT" });
    execFileSync("mkfifo", [gone]);
    await expect(box.shell("true", { binds })).rejects.toMatchObject({ code: "bind/changed", errno: "EINVAL" });
  });
});

describe("Plybox's own directories", () => {
  it.each([
    ["the state directory", () => box.config.stateDir],
    ["a directory of it", () => join(box.config.stateDir, "layers")],
    ["the run directory", () => box.config.runDir],
  ])("%s is refused, reading or writing", async (_, path) => {
    for (const binds of [read(path()), write(path())]) {
      await expect(box.shell("true", { binds })).rejects.toMatchObject({ code: "input/invalid", field: "binds" });
    }
  });

  it("are covered where a directory above them is shown, and stay what they are", async () => {
    writeFileSync(box.config.tokenFile, "token");
    const server = createServer().listen(join(box.config.runDir, "probe.sock"));
    await once(server, "listening");
    const beside = createServer((socket) => socket.end("open")).listen(join(box.directory, "beside.sock"));
    await once(beside, "listening");
    try {
      const { stdout } = await box.shell(
        `cd ${box.directory}; ls -A state run; mv state away; rmdir run; touch state/x; cat state/token; umount state;
        ${python(`import socket; s = socket.socket(socket.AF_UNIX); s.connect("beside.sock"); print(s.recv(9).decode())`)}
        ${python(`import socket; socket.socket(socket.AF_UNIX).connect("run/probe.sock")`)} || echo none`,
        { binds: write(box.directory) },
      );
      // The control: another socket of the tree is reached, as docs/cli.md says.
      expect(stdout).toBe("run:\n\nstate:\nopen\nnone\n");
    } finally {
      server.close();
      beside.close();
    }
    expect(readFileSync(box.config.tokenFile, "utf8")).toBe("token");
  });
});

describe("what is mounted below a path that is shown", () => {
  let tree: string;
  beforeAll(() => {
    tree = join(box.work, "mounts");
    for (const name of ["proc", "tmp"]) mkdirSync(join(tree, name), { recursive: true });
    execFileSync("mount", ["-t", "proc", "plybox-test", join(tree, "proc")]);
    execFileSync("mount", ["-t", "tmpfs", "plybox-test", join(tree, "tmp")]);
    execFileSync("mknod", ["-m", "666", join(tree, "tmp/null"), "c", "1", "3"]);
    writeFileSync(join(tree, "tmp/file"), "below\n");
  });
  afterAll(() => {
    for (const name of ["proc", "tmp"]) execFileSync("umount", [join(tree, name)]);
  });

  it("is shown with the path's own restrictions, and the kernel's file systems are not", async () => {
    // The control: this process is seen through that mount.
    expect(existsSync(join(tree, "proc", String(process.pid), "status"))).toBe(true);
    // Sees what was mounted before it began.
    await using later = await OneShotBox.open();
    const { stdout } = await later.shell(
      `cd ${tree}; ls -A proc; cat tmp/file; (touch tmp/new) 2>&1; cat tmp/null 2>&1; grep ' ${tree}' /proc/mounts`,
      { binds: read(tree) },
    );
    const [content, ...lines] = stdout.trimEnd().split("\n");
    expect(content).toBe("below");
    expect(lines.slice(0, 2)).toEqual([
      expect.stringMatching(/tmp\/new.*Read-only file system$/),
      expect.stringMatching(/tmp\/null: Permission denied$/),
    ]);
    const mounts = lines.slice(2).map((line) => line.split(" "));
    expect(mounts.map(([, path]) => path)).toEqual([tree, `${tree}/proc`, `${tree}/tmp`, `${tree}/proc`]);
    for (const [, , , options] of mounts) expect(options).toMatch(/^ro,nosuid,nodev\b/);
  });
});

describe("what lies in a path that is shown", () => {
  const inTree = (line: string, binds: Bind[]): Promise<Outcome> => box.shell(line, { binds });

  it("gives no rights: neither set-user-id programs nor devices work", async () => {
    const tree = join(box.work, "rights");
    mkdirSync(tree);
    copyFileSync("/usr/bin/id", join(tree, "id"));
    chmodSync(join(tree, "id"), 0o6755);
    execFileSync("mknod", ["-m", "666", join(tree, "null"), "c", "1", "3"]);
    for (const path of [box.directory, tree]) chmodSync(path, 0o711);
    const asNobody = await inTree(
      `python3 -c 'import os, subprocess
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(subprocess.run(["${tree}/id", "-u"], capture_output=True, text=True).stdout.strip())
try: os.open("${tree}/null", os.O_RDONLY)
except OSError as e: print(e.strerror)'`,
      write(tree),
    );
    expect(asNobody.stdout).toBe("65534\nPermission denied\n");
    // The control: both work outside.
    const outside = execFileSync(join(tree, "id"), ["-u"], { uid: 65_534, gid: 65_534 });
    expect(outside.toString()).toBe("0\n");
    expect(readFileSync(join(tree, "null"), "utf8")).toBe("");
  });
});
