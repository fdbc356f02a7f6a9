/**
 * `npm install` runs this: it builds build/plylaunch and build/plyagent through native/Makefile, which names the Debian
 * package of whatever else it misses. Other systems than Linux get the SDK alone, so nothing is built there.
 */
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { missingPackages } from "./debian.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

if (process.platform !== "linux") {
  console.log(`plybox: on ${process.platform} only the SDK works; the native programs are built on Linux`);
  process.exit(0);
}

const missing = missingPackages("build");
if (missing.length > 0) {
  console.error(`plybox: the native programs cannot be built. On Debian: apt-get install ${missing.join(" ")}`);
  process.exit(1);
}

const make = spawnSync("make", ["--silent", "--no-print-directory", "-C", "native", `-j${availableParallelism()}`], {
  cwd: root,
  stdio: "inherit",
});
process.exit(make.status ?? 1);
