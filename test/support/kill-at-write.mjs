/**
 * Loaded by `node --import` before the daemon: kills its process, as SIGKILL does, right before the write to the registry
 * of sandboxes and checkpoints whose number the file PLYBOX_TEST_KILL_AT holds, counted from when that was written. What the
 * daemon does to file systems lies between these writes. Of a file that ends with `all`, requests to plytree count too.
 */
import childProcess from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";

const file = process.env.PLYBOX_TEST_KILL_AT ?? "";
const Database = createRequire(import.meta.url)("better-sqlite3");
const { prepare } = Database.prototype;
let writes = 0;

function count(isRequest) {
  let order;
  try {
    order = readFileSync(file, "utf8");
  } catch {
    writes = 0;
    return;
  }
  if (isRequest && !order.endsWith("all")) return;
  writes += 1;
  if (writes !== Number.parseInt(order)) return;
  rmSync(file);
  process.kill(process.pid, "SIGKILL");
}

Database.prototype.prepare = function (sql) {
  const statement = prepare.call(this, sql);
  if (!/^(?:INSERT|UPDATE|DELETE).* (?:sandboxes|checkpoints) /.test(sql)) return statement;
  const { run } = statement;
  statement.run = function (...values) {
    count(false);
    return run.apply(this, values);
  };
  return statement;
};

const { spawn } = childProcess;
childProcess.spawn = (program, ...rest) => {
  const child = spawn(program, ...rest);
  if (!program.endsWith("/plytree")) return child;
  const { write } = child.stdin;
  child.stdin.write = (...values) => {
    count(true);
    return write.apply(child.stdin, values);
  };
  return child;
};
syncBuiltinESMExports();
