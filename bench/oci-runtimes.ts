import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram, runProgram } from "./programs.ts";

interface CommandLine {
  /** Goes before the command that starts the runtime. */
  readonly prefix: readonly string[];
  readonly flags: readonly string[];
}

export interface OciRuntime {
  /** Of the program and of its Debian package. */
  readonly name: string;
  readonly program: string | undefined;
  commandLine(program: string): Promise<CommandLine>;
}

/** crun refuses a machine with cgroups of both versions; for itself alone it sees version 1. */
const HIDE_UNIFIED = 'if mountpoint -q "$0"; then umount "$0"; fi; exec "$@"';

export function ociRuntimes(directory: string): readonly OciRuntime[] {
  return [
    {
      name: "crun",
      program: findProgram("crun"),
      async commandLine() {
        return {
          prefix: ["unshare", "--mount", "sh", "-c", HIDE_UNIFIED, "/sys/fs/cgroup/unified"],
          flags: ["--root", join(directory, "crun-state")],
        };
      },
    },
    {
      name: "runsc",
      program: findProgram("runsc"),
      async commandLine(program) {
        // The faster platform, where this version has it.
        const isNew = (await runProgram(program, ["flags"])).includes("systrap");
        const platform = isNew ? "systrap" : "ptrace";
        const root = join(directory, "runsc-state");
        return { prefix: [], flags: ["--root", root, `--platform=${platform}`, "--network=none", "--ignore-cgroups"] };
      },
    },
  ];
}

interface OciConfig {
  process: { terminal: boolean; args: readonly string[] };
  root: { path: string };
}

/** The runtime's own default configuration in `bundle`, but for the program and the root. Returns `bundle`. */
export async function makeBundle(
  runtime: string,
  bundle: string,
  { root, args }: { readonly root: string; readonly args: readonly string[] },
): Promise<string> {
  await runProgram(runtime, ["spec"], bundle);
  const path = join(bundle, "config.json");
  const config = JSON.parse(await readFile(path, "utf8")) as OciConfig;
  config.process.terminal = false;
  config.process.args = args;
  config.root.path = root;
  await writeFile(path, JSON.stringify(config));
  return bundle;
}
