import { join } from "node:path";
import type { Unavailable } from "./benchmark.ts";
import type { Contender } from "./interleave.ts";
import { findProgram, notInstalled } from "./programs.ts";
import type { ReferenceDriver } from "./reference-driver.ts";
import type { Root, Workbench } from "./workbench.ts";

export const BARE = "vfork + exec";
export const FLOOR = "floor";
const UNSHARE = "unshare";
export const BUBBLEWRAP = "bubblewrap";

/** A way to run a program that is measured beside ours. */
export interface Reference {
  readonly name: string;
  readonly driver: ReferenceDriver;
  readonly every: number;
}

export type References = readonly (Reference | Unavailable)[];

/** Mounts the images for itself and what it becomes alone, so that nothing of it outlives the driver. */
const MOUNT_THEN =
  'mount -t squashfs -o loop,ro "$1" "$2" && mount -t squashfs -o loop,ro "$3" "$4" && shift 4 && exec "$@"';

/** The program as this machine's own process, by its path in the unpacked root. */
export function bare(bench: Workbench, root: Root, [program = "", ...args]: readonly string[]): Reference {
  const driver = bench.driver((reference) => [reference, "spawn", join(root.directory, program), ...args]);
  return { name: BARE, driver, every: 1 };
}

/** bench/native/reference.c says what the floor is; it stands on the images that our sandboxes stand on. */
export async function floor(bench: Workbench, root: Root, program: readonly string[]): Promise<Reference> {
  const [base = "", extra = ""] = root.images;
  const lower = await bench.makeDirectory("lower");
  const upper = await bench.makeDirectory("upper");
  const work = await bench.makeDirectory("work");
  const driver = bench.driver((reference) =>
    ["unshare", "--mount", "sh", "-c", MOUNT_THEN, "sh", base, lower, extra, upper].concat(
      [reference, "floor", work, `${upper}:${lower}`],
      program,
    ),
  );
  return { name: FLOOR, driver, every: 1 };
}

export function unshare(
  bench: Workbench,
  root: Root,
  [program = "", ...args]: readonly string[],
): Reference | Unavailable {
  const path = findProgram("unshare");
  if (path === undefined) return { name: UNSHARE, reason: notInstalled("util-linux") };
  const inside = ["-mpiuf", "--mount-proc", join(root.directory, program), ...args];
  return { name: UNSHARE, driver: bench.driver((reference) => [reference, "spawn", path, ...inside]), every: 1 };
}

export function bubblewrap(bench: Workbench, root: Root, program: readonly string[]): Reference | Unavailable {
  const path = findProgram("bwrap");
  if (path === undefined) return { name: BUBBLEWRAP, reason: notInstalled("bubblewrap") };
  const view = ["--ro-bind", root.directory, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
  const inside = ["--unshare-all", "--die-with-parent", ...view, ...program];
  return { name: BUBBLEWRAP, driver: bench.driver((reference) => [reference, "spawn", path, ...inside]), every: 1 };
}

/** Runs each once: what fails is told from what can be measured. */
export async function tried(references: References): Promise<References> {
  const results: (Reference | Unavailable)[] = [];
  for (const reference of references) {
    if ("reason" in reference) results.push(reference);
    else results.push(await tryOnce(reference));
  }
  return results;
}

async function tryOnce(reference: Reference): Promise<Reference | Unavailable> {
  try {
    await reference.driver.run("exit");
    return reference;
  } catch (error) {
    return { name: reference.name, reason: `fails here: ${(error as Error).message.replaceAll("\n", "; ")}` };
  }
}

export const isAvailable = (reference: Reference | Unavailable): reference is Reference => "driver" in reference;

/** Measured from the start until the program has ended, or been entered. */
export function contender(reference: Reference, until: "exit" | "exec" = "exit"): Contender {
  return {
    name: until === "exit" ? reference.name : `${reference.name}, until entered`,
    every: reference.every,
    async sample() {
      const [ms = Number.NaN] = await reference.driver.run(until);
      return ms;
    },
  };
}
