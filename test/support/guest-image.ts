import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { copyFile, cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
/** Where the guest has Plybox, as it is built here. */
export const PLYBOX = "/plybox";
/** Programs of this machine that busybox has nothing equal to. */
const PROGRAMS = [process.execPath, "/usr/bin/unshare"];

/**
 * Makes an image, in squashfs and uncompressed, that a guest can have for its root: Node, busybox under all its names,
 * Plybox with what it depends on, and `files`, by their paths inside.
 */
export async function makeGuestImage(directory: string, files: Readonly<Record<string, string>>): Promise<string> {
  const tree = join(directory, "tree");
  for (const path of ["dev", "etc", "proc", "root", "run", "sys", "tmp", "var", "usr/bin", "usr/lib64"])
    await mkdir(join(tree, path), { recursive: true });
  await Promise.all([
    ...["bin", "lib", "lib64"].map((name) => symlink(`usr/${name}`, join(tree, name))),
    symlink("usr/bin", join(tree, "sbin")),
    writeFile(join(tree, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n"),
    writeFile(join(tree, "etc/group"), "root:x:0:\n"),
  ]);
  await addBusybox(tree);
  await addPrograms(tree);
  await addPlybox(join(tree, PLYBOX));
  for (const [path, source] of Object.entries(files)) await place(source, join(tree, path));
  const image = join(directory, "image");
  // Uncompressed, because an emulated processor takes longer to unpack than to read.
  const raw = ["-noI", "-noId", "-noD", "-noF", "-noX", "-no-exports"];
  execFileSync("mksquashfs", [tree, image, ...raw, "-quiet", "-no-progress"], { stdio: ["ignore", "ignore", "pipe"] });
  return image;
}

async function place(source: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await copyFile(source, path);
}

async function addBusybox(tree: string): Promise<void> {
  await place("/bin/busybox", join(tree, "usr/bin/busybox"));
  const applets = execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).trim().split("\n");
  // Those that stand for themselves are better.
  const own = ["busybox", ...PROGRAMS.map((path) => basename(path))];
  for (const applet of applets.filter((name) => !own.includes(name)))
    await symlink("busybox", join(tree, "usr/bin", applet));
}

async function addPrograms(tree: string): Promise<void> {
  const libraries = new Set<string>();
  for (const program of PROGRAMS) {
    await place(program, join(tree, "usr/bin", basename(program)));
    const needed = execFileSync("ldd", [program], { encoding: "utf8" });
    for (const [, path] of needed.matchAll(/(\/\S+) \(0x/g)) if (path !== undefined) libraries.add(path);
  }
  for (const path of libraries) await place(path, join(tree, path.replace(/^\/(?=lib)/, "/usr/")));
}

async function addPlybox(path: string): Promise<void> {
  await place(join(ROOT, "package.json"), join(path, "package.json"));
  for (const name of ["plyagent", "plyfilter", "plylaunch", "plytree"])
    await place(join(ROOT, "build", name), join(path, "build", name));
  await cp(join(ROOT, "dist"), join(path, "dist"), { recursive: true });
  const lock: { packages: Record<string, { dev?: boolean }> } = JSON.parse(
    readFileSync(join(ROOT, "package-lock.json"), "utf8"),
  );
  for (const [module, { dev }] of Object.entries(lock.packages)) {
    // A module inside another comes with that one.
    if (dev === true || module.lastIndexOf("node_modules/") !== 0) continue;
    await cp(join(ROOT, module), join(path, module), { recursive: true });
  }
}
