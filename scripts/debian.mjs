/** Which Debian packages Plybox is built, run and tested with, and how the missing ones get here. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** @typedef {"build" | "quickstart" | "test"} Purpose what a set-up is for */

const LISTS = "/var/lib/apt/lists";

/** @param {string} name */
function hasProgram(name) {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @param {readonly string[]} names */
const anyProgram =
  (...names) =>
  () =>
    names.some(hasProgram);
/** @param {string} path */
const file = (path) => () => existsSync(path);

/** What the sanitizers and the fuzzers of clang 14 link against. */
function hasFuzzerRuntime() {
  const versions = "/usr/lib/llvm-14/lib/clang";
  if (!existsSync(versions)) return false;
  return readdirSync(versions).some(
    (version) =>
      existsSync(join(versions, version, "lib/linux")) &&
      readdirSync(join(versions, version, "lib/linux")).some((name) => name.startsWith("libclang_rt.fuzzer-")),
  );
}

/** @type {readonly { package: string, present: () => boolean, for: readonly Purpose[] }[]} */
const PACKAGES = [
  { package: "make", present: anyProgram("make"), for: ["build", "quickstart", "test"] },
  { package: "g++", present: anyProgram("g++"), for: ["build", "quickstart", "test"] },
  { package: "musl-tools", present: anyProgram("musl-gcc"), for: ["build", "quickstart", "test"] },
  {
    package: "rapidjson-dev",
    present: file("/usr/include/rapidjson/document.h"),
    for: ["build", "quickstart", "test"],
  },
  { package: "libseccomp-dev", present: file("/usr/include/seccomp.h"), for: ["build", "quickstart", "test"] },
  { package: "python3", present: file("/usr/bin/python3"), for: ["quickstart", "test"] },
  { package: "squashfs-tools", present: anyProgram("mksquashfs"), for: ["test"] },
  { package: "erofs-utils", present: anyProgram("mkfs.erofs"), for: ["test"] },
  { package: "e2fsprogs", present: anyProgram("mkfs.ext4"), for: ["test"] },
  { package: "btrfs-progs", present: anyProgram("mkfs.btrfs"), for: ["test"] },
  { package: "zstd", present: anyProgram("zstd"), for: ["test"] },
  { package: "xz-utils", present: anyProgram("xz"), for: ["test"] },
  { package: "bzip2", present: anyProgram("bzip2"), for: ["test"] },
  { package: "skopeo", present: anyProgram("skopeo"), for: ["test"] },
  { package: "mmdebstrap", present: anyProgram("mmdebstrap"), for: ["test"] },
  { package: "docker-registry", present: anyProgram("docker-registry"), for: ["test"] },
  { package: "busybox-static", present: file("/bin/busybox"), for: ["test"] },
  { package: "uidmap", present: anyProgram("newuidmap"), for: ["test"] },
  // Object storage, whose gateway needs a cluster of its own: test/support/object-server.ts.
  { package: "radosgw", present: anyProgram("radosgw"), for: ["test"] },
  { package: "ceph-mon", present: anyProgram("ceph-mon"), for: ["test"] },
  { package: "ceph-osd", present: anyProgram("ceph-osd"), for: ["test"] },
  { package: "openssl", present: anyProgram("openssl"), for: ["test"] },
  { package: "procps", present: anyProgram("pgrep"), for: ["test"] },
  {
    package: "golang-github-containers-common",
    present: file("/usr/share/containers/seccomp.json"),
    for: ["test"],
  },
  { package: "sudo", present: anyProgram("sudo"), for: ["test"] },
  { package: "tmux", present: anyProgram("tmux"), for: ["test"] },
  { package: "vim", present: anyProgram("vim"), for: ["test"] },
  { package: "htop", present: anyProgram("htop"), for: ["test"] },
  { package: "doctest-dev", present: file("/usr/include/doctest/doctest.h"), for: ["test"] },
  { package: "clang-14", present: anyProgram("clang++-14"), for: ["test"] },
  { package: "libclang-rt-14-dev", present: hasFuzzerRuntime, for: ["test"] },
  { package: "clang-format-14", present: anyProgram("clang-format-14"), for: ["test"] },
  { package: "qemu-system-x86", present: anyProgram("qemu-system-x86_64"), for: ["test"] },
  { package: "xz-utils", present: anyProgram("xz"), for: ["test"] },
  { package: "zstd", present: anyProgram("zstd"), for: ["test"] },
  { package: "g++-aarch64-linux-gnu", present: anyProgram("aarch64-linux-gnu-g++"), for: ["test"] },
  { package: "qemu-user-static", present: anyProgram("qemu-aarch64-static"), for: ["test"] },
  // What is run in sandboxes as users do: test/integration/workloads.
  { package: "adduser", present: anyProgram("adduser"), for: ["test"] },
  { package: "git", present: anyProgram("git"), for: ["test"] },
  { package: "curl", present: anyProgram("curl"), for: ["test"] },
  { package: "gdb", present: anyProgram("gdb"), for: ["test"] },
  { package: "strace", present: anyProgram("strace"), for: ["test"] },
  { package: "python3-venv", present: file("/usr/share/python-wheels"), for: ["test"] },
  { package: "postgresql", present: file("/usr/lib/postgresql"), for: ["test"] },
  { package: "redis-server", present: anyProgram("redis-server"), for: ["test"] },
  { package: "chromium-headless-shell", present: anyProgram("chromium-headless-shell"), for: ["test"] },
];

/**
 * @param {Purpose} purpose
 * @returns {string[]} names of the packages of which nothing is found on this machine
 */
export function missingPackages(purpose) {
  return PACKAGES.filter((entry) => entry.for.includes(purpose) && !entry.present()).map((entry) => entry.package);
}

/** @param {readonly string[]} args */
function aptGet(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  // Waits for another apt-get rather than failing beside it.
  const options = ["-qq", "-y", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120", "--no-install-recommends"];
  return spawnSync("apt-get", [...options, ...args], { env, stdio: ["ignore", "ignore", "inherit"] }).status === 0;
}

const hasLists = () => existsSync(LISTS) && readdirSync(LISTS).some((name) => /_Packages(\.\w+)?$/.test(name));

/**
 * Installs what is missing.
 * @param {Purpose} purpose
 * @throws {Error} naming the packages and the command, where they cannot be installed from here
 */
export function installPackages(purpose) {
  const missing = missingPackages(purpose);
  if (missing.length === 0) return;
  const byHand = `these Debian packages are missing: ${missing.join(" ")}
  install them with: apt-get install --no-install-recommends ${missing.join(" ")}`;
  if (!hasProgram("apt-get")) throw new Error(`${byHand}\n  (there is no apt-get here: use your system's own names)`);
  console.log(`installing the Debian packages ${missing.join(" ")}`);
  // Lists that are there may be too old to fetch by, so a failed installation gets new ones once.
  const installed =
    (hasLists() && aptGet("install", ...missing)) || (aptGet("update") && aptGet("install", ...missing));
  if (!installed) throw new Error(`apt-get could not install what is missing; ${byHand}`);
}
