/**
 * Loaded by `node --import` before the daemon: kills its process, as SIGKILL does, right before the write to the registry
 * of sandboxes and checkpoints whose number the file PLYBOX_TEST_KILL_AT holds, counted from when that was written. What the
 * daemon does to file systems lies between these writes.
 */
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";

const file = process.env.PLYBOX_TEST_KILL_AT ?? "";
const Database = createRequire(import.meta.url)("better-sqlite3");
const { prepare } = Database.prototype;
let writes = 0;

function count() {
  let wanted;
  try {
    wanted = Number(readFileSync(file, "utf8"));
  } catch {
    writes = 0;
    return;
  }
  writes += 1;
  if (writes !== wanted) return;
  rmSync(file);
  process.kill(process.pid, "SIGKILL");
}

Database.prototype.prepare = function (sql) {
  const statement = prepare.call(this, sql);
  if (!/^(?:INSERT|UPDATE|DELETE).* (?:sandboxes|checkpoints) /.test(sql)) return statement;
  const { run } = statement;
  statement.run = function (...values) {
    count();
    return run.apply(this, values);
  };
  return statement;
};
