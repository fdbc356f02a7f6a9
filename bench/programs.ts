import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { REFERENCE_SOURCE, WORKLOAD_SOURCE } from "./repository.ts";

/** Where a program of this machine is, or undefined. */
export function findProgram(name: string): string | undefined {
  const directories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

const busybox = findProgram("busybox");

/** What ours and a reference start where that is all there is to it: one static file, so that the start is measured. */
export const TRUE: readonly string[] = busybox === undefined ? ["/bin/true"] : [busybox, "true"];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export const notInstalled = (packageName: string): string => `not installed (apt-get install ${packageName})`;

/**
 * Runs a program to its end; returns its standard output.
 * @throws Error with what it wrote to standard error
 */
export async function runProgram(program: string, args: readonly string[], cwd = "/"): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { cwd });
  return stdout;
}

/** Compiles bench/native/reference.c into `directory`; returns the program's path. */
export const compileReference = (directory: string): Promise<string> =>
  compileProgram(REFERENCE_SOURCE, join(directory, "reference"));

/** Compiles bench/native/workload.c, whole in one file so that it runs on any root; returns the program's path. */
export const compileWorkload = (directory: string): Promise<string> =>
  compileProgram(WORKLOAD_SOURCE, join(directory, "workload"), ["-static", "-lm"]);

async function compileProgram(source: string, program: string, last: readonly string[] = []): Promise<string> {
  const compiler = findProgram("cc");
  if (compiler === undefined) throw new Error("the references need a C compiler: apt-get install gcc libc6-dev");
  await runProgram(compiler, ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-o", program, source, ...last]);
  return program;
}
