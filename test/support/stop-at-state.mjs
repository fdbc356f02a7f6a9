/**
 * Loaded by `node --import` before the daemon: stops the daemon's process as soon as it has written a sandbox's state
 * that the file PLYBOX_TEST_STOP_AT names, once. So it can be killed exactly there.
 */
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";

const file = process.env.PLYBOX_TEST_STOP_AT ?? "";
const Database = createRequire(import.meta.url)("better-sqlite3");
const { prepare } = Database.prototype;

function wanted() {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

Database.prototype.prepare = function (sql) {
  const statement = prepare.call(this, sql);
  if (!/^(?:INSERT INTO|UPDATE) sandboxes /.test(sql)) return statement;
  const { run } = statement;
  statement.run = function (...values) {
    const result = run.apply(this, values);
    const body = values.find((value) => typeof value === "string" && value.startsWith("{"));
    if (body !== undefined && JSON.parse(body).state.kind === wanted()) {
      rmSync(file);
      process.kill(process.pid, "SIGSTOP");
    }
    return result;
  };
  return statement;
};
