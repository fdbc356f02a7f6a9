/**
 * Brings the cloud kernel of Debian 13 to build/guest-kernel-13, where the tests boot it in QEMU: `vmlinux`, and the
 * modules that it needs there. The package is unpacked and not installed, because installing a kernel would change how
 * this machine boots. The lists of that release are fetched for this alone: Debian 12's own kernel is older than Plybox
 * can do with.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const BUILD = fileURLToPath(new URL("../build", import.meta.url));
/** By release, so that another one is fetched beside it. */
const GUEST_KERNEL = join(BUILD, "guest-kernel-13");
const SOURCE =
  "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main\n";
const PACKAGE = "linux-image-cloud-amd64";
/** In an order in which each finds what it needs. */
const MODULES = [
  ["vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback"],
  ["virtio_blk", "squashfs", "overlay"],
].flat();

/**
 * @param {readonly [program: string, ...args: string[]]} command
 * @param {import("node:child_process").SpawnSyncOptions} [options]
 * @returns {Buffer} what it prints
 * @throws {Error} naming it and what it said
 */
function output([program, ...args], options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { maxBuffer: 2 ** 30, ...options });
  if (status === 0) return Buffer.from(stdout);
  throw new Error(`${[program, ...args].join(" ")} failed: ${error?.message ?? stderr.toString().trim()}`);
}

/**
 * The kernel proper out of a bzImage, whose set-up header (Documentation/arch/x86/boot.rst) says where it lies. Under
 * emulation a kernel takes longer to unpack itself than to boot.
 * @param {Buffer} image
 */
function uncompressed(image) {
  const setupSectors = image.readUInt8(0x1f1);
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  // The last four bytes say how long the uncompressed kernel is.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  const magic = payload.subarray(0, 4).toString("hex");
  if (magic !== "28b52ffd") throw new Error(`${PACKAGE} is not compressed by Zstandard: it begins with ${magic}`);
  return output(["zstd", "-dc"], { input: payload });
}

/**
 * What makes apt look at the lists of another release, which it keeps in `directory`.
 * @param {string} directory
 */
function aptOptions(directory) {
  writeFileSync(join(directory, "sources.list"), SOURCE);
  for (const name of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(directory, name), { recursive: true });
  const settings = {
    "Dir::Etc::SourceList": join(directory, "sources.list"),
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State::Lists": join(directory, "lists"),
    "Dir::Cache": join(directory, "cache"),
    "Acquire::Languages": "none",
    "APT::Sandbox::User": "root",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/** @param {string} directory where it is unpacked */
function unpackPackage(directory) {
  const options = aptOptions(directory);
  output(["apt-get", "-qq", ...options, "update"]);
  // The package that is asked for only depends on the newest kernel's.
  const depends = output(["apt-cache", ...options, "depends", PACKAGE]).toString();
  const kernel = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (kernel === undefined) throw new Error(`${PACKAGE} names no kernel`);
  output(["apt-get", "-qq", ...options, "download", kernel], { cwd: directory });
  output(["dpkg-deb", "-x", one(directory, /\.deb$/), join(directory, "root")]);
  return join(directory, "root");
}

/**
 * @param {string} directory
 * @param {RegExp} pattern of the path below it
 */
function one(directory, pattern) {
  const [name, ...more] = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) =>
    pattern.test(path),
  );
  if (name === undefined || more.length > 0) throw new Error(`${pattern} is not one file of ${PACKAGE}`);
  return join(directory, name);
}

/**
 * Does nothing where it is there already.
 * @throws {Error} saying what failed
 */
export function fetchGuestKernel() {
  if (existsSync(GUEST_KERNEL)) return;
  console.log(`fetching the kernel of ${PACKAGE} for the tests that need a guest`);
  mkdirSync(BUILD, { recursive: true });
  const temporary = mkdtempSync(join(BUILD, "guest-kernel-"));
  try {
    const root = unpackPackage(temporary);
    const kernel = join(temporary, "kernel");
    mkdirSync(kernel);
    writeFileSync(join(kernel, "vmlinux"), uncompressed(readFileSync(one(root, /^boot\/vmlinuz-/))));
    for (const [index, name] of MODULES.entries()) {
      const compressed = one(root, new RegExp(`/${name}\\.ko\\.xz$`));
      writeFileSync(join(kernel, `${index}-${name}.ko`), output(["xz", "-dc", compressed]));
    }
    renameSync(kernel, GUEST_KERNEL);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && basename(process.argv[1]) === "guest-kernel.mjs") fetchGuestKernel();
