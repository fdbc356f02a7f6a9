import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hashTree } from "./tree-hash.ts";

/** Makes all that a tree may hold; a name that is no text and one of two lines among it. */
const TREE = `import os, shutil, socket
AT = (5, 1_000_000)
os.mkdir("d", 0o750); os.mkdir("d/e")
open("d/file", "w").write("text"); os.chmod("d/file", 0o4711); os.chown("d/file", 7, 8)
os.link("d/file", "twin")
os.symlink("/etc/passwd", "link"); os.mkfifo("pipe"); os.mknod("device", 0o020600, os.makedev(1, 3))
socket.socket(socket.AF_UNIX).bind("socket")
open(b"\\xff\\n", "w").write("odd")
os.setxattr("d/file", "user.odd", b"\\0=\\n"); os.setxattr("d", "trusted.own", b"")
with open("sparse", "wb") as f:
  f.truncate(3 << 20); f.seek(1 << 20); f.write(b"x" * 5000)
for path, folders, files in os.walk(b".", topdown=False):
  for name in files + folders: os.utime(os.path.join(path, name), AT, follow_symlinks=False)
os.utime(".", AT)
`;

let root: string;

beforeEach(() => {
  root = mkdtempSync("/tmp/plybox-plies-");
});
afterEach(() => rmSync(root, { recursive: true }));

const python = (script: string, directory: string) => {
  execFileSync("mkdir", ["-p", join(root, directory)]);
  execFileSync("/usr/bin/python3", ["-c", script], { cwd: join(root, directory) });
};

const hashOf = (...plies: string[]) => hashTree(plies.map((ply) => join(root, ply)));

/** What `script` does to the tree and its root's time is not seen in. */
const changed = async (script: string) => {
  python(`${TREE}${script}\nos.utime(".", AT)`, "changed");
  const { digest } = await hashOf("changed");
  rmSync(join(root, "changed"), { recursive: true });
  return digest;
};

describe("the hash of a tree", () => {
  it("is the same for a copy, whatever of it is holes", async () => {
    python(TREE, "one");
    python(`${TREE}\nopen("sparse", "r+b").write(bytes(1 << 20)); os.utime("sparse", AT)`, "two");
    const one = await hashOf("one");
    expect(one).toMatchObject({ entries: 11, bytes: 4 + 3 + (3 << 20) });
    expect(await hashOf("two")).toEqual(one);
  });

  it("is another one for whatever changes", async () => {
    const digests = [
      await changed(""),
      await changed('os.chmod("d", 0o751)'),
      await changed('os.chown("link", 0, 1, follow_symlinks=False)'),
      await changed('open("d/file", "w").write("Text"); os.utime("d/file", AT)'),
      await changed('os.utime("d/file", (5, 1_000_001))'),
      await changed('os.setxattr("d/file", "user.odd", b"\\0=")'),
      await changed('os.setxattr("pipe", "trusted.p", b"")'),
      await changed('os.truncate("sparse", (3 << 20) + 1); os.utime("sparse", AT)'),
      await changed(
        'os.unlink("twin"); shutil.copy2("d/file", "twin"); os.chown("twin", 7, 8); os.chmod("twin", 0o4711); os.utime("d", AT)',
      ),
      await changed('os.unlink("pipe"); os.mknod("pipe", 0o140644); os.utime("pipe", AT)'),
      await changed('os.unlink("device"); os.mknod("device", 0o020600, os.makedev(1, 5)); os.utime("device", AT)'),
      await changed('os.unlink("link"); os.symlink("/etc/group", "link"); os.utime("link", AT, follow_symlinks=False)'),
      await changed('os.rename(b"\\xff\\n", b"\\xfe\\n")'),
      await changed('os.rmdir("d/e"); os.utime("d", AT)'),
      await changed('os.chmod(".", 0o701)'),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });

  it("does not see what overlayfs notes for itself", async () => {
    python(TREE, "one");
    const before = await hashOf("one");
    python(
      'import os\nos.setxattr("d/file", "trusted.overlay.origin", b"x"); os.setxattr("d", "trusted.overlay.impure", b"y")',
      "one",
    );
    expect(await hashOf("one")).toEqual(before);
  });

  it("of a stack is that of what overlayfs shows of it", async () => {
    python(`${TREE}\nos.mkdir("gone"); open("gone/x", "w"); os.mkdir("swap"); os.utime(".", AT)`, "low");
    python(
      `import os
os.mkdir("d"); os.mknod("d/file", 0o020000, 0); open("d/new", "w")
os.mknod("gone", 0o020000, 0); open("swap", "w"); os.mknod("sparse", 0o020000, 0)`,
      "middle",
    );
    python(
      `import os
os.mkdir("d"); os.mkdir("d/e"); os.setxattr("d/e", "trusted.overlay.opaque", b"y"); open("d/e/z", "w").write("z")
os.mkdir("gone"); open("gone/y", "w"); os.mkdir("swap")`,
      "high",
    );
    const layers = ["high", "middle", "low"].map((ply) => join(root, ply)).join(":");
    const script = `mount -t overlay plybox-test -o lowerdir=${layers} ${root}/merged && cp -a ${root}/merged ${root}/shown`;
    execFileSync("mkdir", [join(root, "merged")]);
    execFileSync("unshare", ["--mount", "sh", "-ec", script]);
    const { digest, entries } = await hashOf("low", "middle", "high");
    expect({ digest, entries }).toEqual({ digest: (await hashOf("shown")).digest, entries: 14 });
  });
});
