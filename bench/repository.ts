import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The directory with package.json, from wherever this was compiled to. */
const REPOSITORY = above(import.meta.dirname);

export const REFERENCE_SOURCE = join(REPOSITORY, "bench/native/reference.c");
export const WORKLOAD_SOURCE = join(REPOSITORY, "bench/native/workload.c");
export const AGENT = join(REPOSITORY, "build/plyagent");
/** The built module, which finds the native programs beside it. */
export const LAUNCHER = join(REPOSITORY, "dist/native/launcher.js");
/** The built module, as `LAUNCHER`. */
export const PACK_PLY = join(REPOSITORY, "dist/snapshots/plies/pack-ply.js");
export const COMMAND = join(REPOSITORY, "dist/cli/main.js");

function above(directory: string): string {
  return existsSync(join(directory, "package.json")) ? directory : above(dirname(directory));
}
