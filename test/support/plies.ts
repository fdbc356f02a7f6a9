import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

/** What the scripts of `TemporaryPlies.make` may use. */
const PRELUDE = `import os, shutil, socket, stat
AT = (5, 1_000_000)
def above(path): os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
def put(path, text="", mode=None):
  above(path)
  open(path, "w").write(text)
  if mode is not None: os.chmod(path, mode)
def whiteout(path):
  above(path)
  os.mknod(path, stat.S_IFCHR, 0)
def opaque(path):
  os.makedirs(path, exist_ok=True)
  os.setxattr(path, "trusted.overlay.opaque", b"y")
def still():
  for path, folders, files in os.walk(b".", topdown=False):
    for name in files + folders: os.utime(os.path.join(path, name), AT, follow_symlinks=False)
  os.utime(".", AT)
`;

/** Directories that are plies, each made by a Python script; all go in the end. */
export class TemporaryPlies implements Disposable {
  readonly root = mkdtempSync("/tmp/plybox-plies-");

  path(name: string): string {
    return join(this.root, name);
  }

  /** Runs the script in the directory of that name and answers its path. All that is in it gets one time. */
  make(name: string, script = ""): string {
    const path = this.path(name);
    mkdirSync(path, { recursive: true });
    execFileSync("/usr/bin/python3", ["-SIc", `${PRELUDE}\n${script}\nstill()`], { cwd: path });
    return path;
  }

  /** Copies what overlayfs shows of plies, the lowest first, to the directory `name`, and answers its path. */
  show(name: string, plies: readonly string[]): string {
    const [path, merged] = [this.path(name), this.path(`${name}.merged`)];
    mkdirSync(merged);
    const script = `mount -t overlay plybox-test -o lowerdir="$1" "$2" && cp -a "$2" "$3"`;
    const lower = [...plies].reverse().join(":");
    execFileSync("unshare", ["--mount", "sh", "-ec", script, "sh", `${lower}:${this.make("nothing")}`, merged, path]);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}
