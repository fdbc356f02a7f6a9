/**
 * Loaded by `node --import` before a program: kills its process, as SIGKILL does, right before the change whose number
 * PLYBOX_TEST_KILL_AT is. Counts every call that makes, writes, renames or removes a file or, with PLYBOX_TEST_COUNT=requests,
 * every request by HTTP instead.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const killAt = Number(process.env.PLYBOX_TEST_KILL_AT);
const CHANGES = ["mkdir", "writeFile", "rename", "symlink", "unlink", "rm", "rmdir", "utimes", "link", "truncate", "chmod"];
let changes = 0;

function count() {
  changes += 1;
  if (changes === killAt) process.kill(process.pid, "SIGKILL");
}

function watch(object, name) {
  const original = object[name];
  object[name] = function (...args) {
    count();
    return original.apply(this, args);
  };
}

async function watchFiles() {
  for (const name of CHANGES) {
    watch(fs.promises, name);
    watch(fs, `${name}Sync`);
  }
  // What has been written is on the disk only after this.
  const probe = await fs.promises.open("/dev/null", "r");
  watch(Object.getPrototypeOf(probe), "sync");
  await probe.close();
}

if (process.env.PLYBOX_TEST_COUNT === "requests") watch(globalThis, "fetch");
else await watchFiles();
syncBuiltinESMExports();
