import { execFile } from "node:child_process";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { promisify } from "node:util";
import { missingProgram, PROGRAM_ENVIRONMENT } from "./programs.ts";
import { makeFile, makeSkeleton } from "./skeleton.ts";

const APPLET = /^(?:usr\/)?s?bin\/[A-Za-z0-9[][A-Za-z0-9[_.+-]*$/;

/**
 * Makes a root file system of one program: `/bin/busybox`, and a symbolic link to it for each applet where programs
 * look for it. Returns the program's version line.
 * @throws PlyboxError `host/missing` when there is no statically linked busybox at `program`
 */
export async function makeBusyboxTree(program: string, tree: string): Promise<string> {
  const content = await readFile(program).catch(() => undefined);
  if (content === undefined || !isStatic(content))
    throw missingProgram("a statically linked busybox", "busybox-static");
  await makeSkeleton(tree, "/bin/sh");
  for (const directory of ["bin", "sbin", "usr/bin", "usr/sbin"]) await mkdir(`${tree}/${directory}`, { mode: 0o755 });
  await makeFile(`${tree}/bin/busybox`, content, 0o755);
  for (const applet of (await output(program, "--list-full")).split("\n")) {
    if (!APPLET.test(applet) || applet === "bin/busybox") continue;
    await symlink(relative(dirname(applet), "bin/busybox"), `${tree}/${applet}`);
  }
  return (await output(program, "--help")).split("\n", 1)[0] ?? "";
}

async function output(program: string, argument: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [argument], { env: PROGRAM_ENVIRONMENT });
  return stdout;
}

/** Debian's package `busybox` has a program at the same path that needs a C library, which the layer has not. */
function isStatic(elf: Buffer): boolean {
  const isElf64LittleEndian = elf.length >= 64 && elf.readUInt32BE(0) === 0x7f454c46 && elf[4] === 2 && elf[5] === 1;
  if (!isElf64LittleEndian) return false;
  const headers = Number(elf.readBigUInt64LE(32));
  const headerBytes = elf.readUInt16LE(54);
  const count = elf.readUInt16LE(56);
  if (headers + count * headerBytes > elf.length) return false;
  const interpreter = 3;
  for (let i = 0; i < count; i++) if (elf.readUInt32LE(headers + i * headerBytes) === interpreter) return false;
  return true;
}
