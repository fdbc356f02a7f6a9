/**
 * Loaded by `node --import` before the daemon: kills its process, as SIGKILL does, right before the write to the registry
 * of sandboxes and checkpoints whose number the file PLYBOX_TEST_KILL_AT holds, counted from when that was written. What the
 * daemon does to file systems lies between these writes. Of a file that ends with `all`, requests to plytree count too; of one
 * that ends with `files`, nothing but programs that are started, files that are opened, renamed or removed, and what is
 * done with subvolumes.
 */
import childProcess from "node:child_process";
import fs from "node:fs";
import { readFileSync, rmSync } from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";

const file = process.env.PLYBOX_TEST_KILL_AT ?? "";
const Database = createRequire(import.meta.url)("better-sqlite3");
const { prepare } = Database.prototype;
let writes = 0;

/** @param {"write" | "request" | "file"} what */
function count(what) {
  let order;
  try {
    order = readFileSync(file, "utf8");
  } catch {
    writes = 0;
    return;
  }
  if (order.endsWith("files") ? what !== "file" : what !== "write" && !(what === "request" && order.endsWith("all"))) return;
  writes += 1;
  if (writes !== Number.parseInt(order)) return;
  try {
    rmSync(file);
  } catch {
    // It was taken back meanwhile.
    writes = 0;
    return;
  }
  process.kill(process.pid, "SIGKILL");
}

Database.prototype.prepare = function (sql) {
  const statement = prepare.call(this, sql);
  if (!/^(?:INSERT|UPDATE|DELETE).* (?:sandboxes|checkpoints) /.test(sql)) return statement;
  const { run } = statement;
  statement.run = function (...values) {
    count("write");
    return run.apply(this, values);
  };
  return statement;
};

const { spawn } = childProcess;
childProcess.spawn = (program, ...rest) => {
  count("file");
  const child = spawn(program, ...rest);
  const [isTree, isLauncher] = [program.endsWith("/plytree"), program.endsWith("/plylaunch")];
  if (!isTree && !isLauncher) return child;
  const { write } = child.stdin;
  child.stdin.write = (...values) => {
    if (isTree) count("request");
    else if (Buffer.from(values[0]).includes('"subvolumes"')) count("file");
    return write.apply(child.stdin, values);
  };
  return child;
};
for (const name of ["open", "rename", "rm"]) {
  const original = fs.promises[name];
  fs.promises[name] = (...values) => {
    count("file");
    return original.apply(fs.promises, values);
  };
}
syncBuiltinESMExports();
