import { existsSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { PlyboxError } from "../model/errors.ts";
import type { Database } from "../sandbox/database.ts";
import { openDatabase } from "../sandbox/database.ts";
import type { Config } from "./config.ts";

/**
 * Makes a run directory that of one state directory, as long as sandboxes have something in it: what no registry knows
 * is swept from it, and another's sandboxes would be that. Closing the file lets another daemon have the directory.
 * @throws PlyboxError `daemon/unreachable` when another daemon has it, or sandboxes of one
 */
export function claimRunDirectory({ runDir, stateDir }: Pick<Config, "runDir" | "stateDir">): Database {
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const file = openDatabase(join(runDir, "owner.sqlite"));
  try {
    file.exec("CREATE TABLE IF NOT EXISTS owner (state_dir TEXT NOT NULL) STRICT");
    const self = realpathSync(stateDir);
    const owner = file.prepare<[], string>("SELECT state_dir FROM owner").pluck().get();
    if (owner !== undefined && owner !== self && isInUse(runDir)) throw taken(runDir, owner);
    file.transaction(() => {
      file.exec("DELETE FROM owner");
      file.prepare<[string]>("INSERT INTO owner (state_dir) VALUES (?)").run(self);
    })();
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A sandbox that runs has a socket; one that does not has its upper, unless that is on disk. */
const isInUse = (runDir: string): boolean =>
  ["s", "uppers"].some((name) => existsSync(join(runDir, name)) && readdirSync(join(runDir, name)).length > 0);

const taken = (runDir: string, owner: string): PlyboxError =>
  new PlyboxError(
    "daemon/unreachable",
    `${runDir} has sandboxes of the daemon whose state is in ${owner}; give this one a run directory of its own (PLYBOX_RUN_DIR)`,
  );
