import Database from "better-sqlite3";
import { PlyboxError } from "../model/errors.ts";

export type { Database } from "better-sqlite3";

const VERSION = 1;

/**
 * The daemon's SQLite file, which one process may have open. What is committed survives the death of this process. Each
 * store that stands on it makes its own tables.
 * @throws PlyboxError `daemon/unreachable` when another process has it open, `internal` for a file of a later version
 */
export function openDatabase(path: string): Database.Database {
  const database = new Database(path, { timeout: 0 });
  try {
    prepare(database);
    return database;
  } catch (cause) {
    database.close();
    if (cause instanceof Error && "code" in cause && String(cause.code).startsWith("SQLITE_BUSY")) {
      throw new PlyboxError("daemon/unreachable", `another daemon uses ${path}`, { cause });
    }
    throw cause;
  }
}

function prepare(database: Database.Database): void {
  // Exclusive: the lock that keeps a second daemon away, and no shared-memory file.
  database.pragma("locking_mode = EXCLUSIVE");
  database.pragma("journal_mode = WAL");
  // NORMAL: what is committed survives any death of this process; only a power cut may take the last writes.
  database.pragma("synchronous = NORMAL");
  database.transaction(() => {
    const version = database.pragma("user_version", { simple: true });
    if (version === VERSION) return;
    if (version !== 0) throw new PlyboxError("internal", `the registry is of version ${version}, this is ${VERSION}`);
    database.pragma(`user_version = ${VERSION}`);
  })();
}
