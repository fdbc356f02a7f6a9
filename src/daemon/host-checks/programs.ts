import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { NativeProgram } from "../../native/programs.ts";
import type { Check } from "./check.ts";
import { missing, ok, warn } from "./check.ts";

interface Tool {
  readonly program: string;
  readonly debianPackage: string;
  readonly use: string;
  /** What makes it print its version and nothing else happen. */
  readonly version: readonly string[];
}

const TOOLS: readonly Tool[] = [
  { program: "mksquashfs", debianPackage: "squashfs-tools", use: "builds layers", version: ["-version"] },
  { program: "mkfs.erofs", debianPackage: "erofs-utils", use: "builds erofs layers", version: ["--help"] },
  { program: "mkfs.ext4", debianPackage: "e2fsprogs", use: "makes uppers on disk with a size", version: ["-V"] },
  { program: "e2fsck", debianPackage: "e2fsprogs", use: "mends them", version: ["-V"] },
  { program: "mkfs.btrfs", debianPackage: "btrfs-progs", use: "makes uppers with snapshots", version: ["--version"] },
  { program: "busybox", debianPackage: "busybox-static", use: "is the busybox layer", version: ["--help"] },
  { program: "ip", debianPackage: "iproute2", use: "shows networks", version: ["-V"] },
  { program: "nft", debianPackage: "nftables", use: "filters networks", version: ["--version"] },
  { program: "bwrap", debianPackage: "bubblewrap", use: "is the bubblewrap backend", version: ["--version"] },
];

export const TOOL_CHECKS: readonly Check[] = TOOLS.map(
  ({ program, debianPackage, use, version }): Check => ({
    name: program,
    required: false,
    async examine(host) {
      const remedy = `apt-get install ${debianPackage}`;
      const path = find(program, host.path);
      if (path === undefined) return missing(`not installed; it ${use}`, remedy);
      const answer = await runs(path, version);
      return answer === undefined
        ? warn(`${path} does not run`, `apt-get install --reinstall ${debianPackage}`)
        : ok(`${path}, ${answer}`);
    },
  }),
);

const nativeCheck = (program: NativeProgram): Check => ({
  name: program,
  required: true,
  async examine(host) {
    const path = host.nativeProgram(program);
    // The agent has no version to tell: it complains of the option, and that it does shows that it runs.
    const answer = await runs(path, ["--version"]);
    if (answer?.startsWith(program) !== true) return missing(`${path} does not run`, "npm run build:native");
    return ok(path);
  },
});

export const NATIVE_CHECKS: readonly Check[] = [
  nativeCheck("plylaunch"),
  nativeCheck("plyagent"),
  nativeCheck("plyrelay"),
  nativeCheck("plyfilter"),
  nativeCheck("plytree"),
];

function find(program: string, directories: readonly string[]): string | undefined {
  return directories.map((directory) => join(directory, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a program says of itself, in one line; undefined where it cannot be run. */
async function runs(path: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await promisify(execFile)(path, [...args], { encoding: "utf8" });
    return firstLine(stdout || stderr);
  } catch (error) {
    // Some tell their version and then fail. A program that cannot be started has a code that is a name, or the shell's.
    const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
    return typeof code === "number" && code < 126 ? firstLine(stdout || stderr) : undefined;
  }
}

const firstLine = (text: string): string => (text.split("\n")[0] ?? "").trim().slice(0, 60);
