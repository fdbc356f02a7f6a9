/**
 * Brings Debian's cloud kernel to build/guest-kernel, where the tests boot it in QEMU: `vmlinux`, and the modules that
 * make AF_VSOCK's loopback and a virtio serial port. The package is unpacked and not installed, because installing a
 * kernel would change how this machine boots.
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
const GUEST_KERNEL = join(BUILD, "guest-kernel");
const PACKAGE = "linux-image-cloud-amd64";
/** In an order in which each finds what it needs. */
const MODULES = [
  ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_console"],
  ["vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback"],
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
  if (magic !== "02214c18") throw new Error(`${PACKAGE} is not compressed by LZ4: it begins with ${magic}`);
  return output(["lz4", "-dc"], { input: payload });
}

/** @param {string} directory where it is unpacked */
function unpackPackage(directory) {
  // The package that is asked for only depends on the newest kernel's.
  const depends = output(["apt-cache", "depends", PACKAGE]).toString();
  const kernel = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (kernel === undefined) throw new Error(`${PACKAGE} names no kernel`);
  output(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", kernel], { cwd: directory });
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
    for (const [index, name] of MODULES.entries())
      renameSync(one(root, new RegExp(`/${name}\\.ko$`)), join(kernel, `${index}-${name}.ko`));
    renameSync(kernel, GUEST_KERNEL);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && basename(process.argv[1]) === "guest-kernel.mjs") fetchGuestKernel();
