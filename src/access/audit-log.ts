import type { Database } from "better-sqlite3";
import type { AuditEntry } from "../model/access.ts";

export interface AuditPage {
  /** Entries before this id; the newest by default. */
  readonly before?: number;
  readonly limit: number;
  readonly tenant?: string;
  readonly sandbox?: string;
}

interface Row extends Omit<AuditEntry, "at"> {
  readonly at: number;
}

const TABLE = `CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, tenant TEXT, by TEXT, key TEXT, action TEXT NOT NULL,
  path TEXT NOT NULL, sandbox TEXT, status INTEGER NOT NULL, code TEXT, remote TEXT, "from" TEXT
) STRICT`;
const HAS_FROM = "SELECT 1 FROM pragma_table_info('audit') WHERE name = 'from'";
/** A request that is answered at once costs less than writing it down: several are written together. */
const FLUSH_MS = 20;
const KEPT_MS = 90 * 24 * 3_600_000;

/**
 * Who changed what, and with what result: kept for 90 days. Bodies are not in it, for they may hold secrets. Entries
 * are written some milliseconds after the answers that they tell of, together.
 */
export class AuditLog {
  readonly #append;
  readonly #database: Database;
  #waiting: Omit<Row, "id">[] = [];

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    database.exec(TABLE);
    // Logs of before merges have not got it.
    if (database.prepare(HAS_FROM).get() === undefined) database.exec('ALTER TABLE audit ADD COLUMN "from" TEXT');
    database.prepare("DELETE FROM audit WHERE at < ?").run(now() - KEPT_MS);
    const insert = database.prepare<Omit<Row, "id">>(
      `INSERT INTO audit (at, tenant, by, key, action, path, sandbox, "from", status, code, remote)
       VALUES (@at, @tenant, @by, @key, @action, @path, @sandbox, @from, @status, @code, @remote)`,
    );
    this.#append = database.transaction((entries: readonly Omit<Row, "id">[]): void => {
      for (const entry of entries) insert.run(entry);
    });
  }

  write(entry: Omit<AuditEntry, "id">): void {
    if (this.#waiting.length === 0) setTimeout(() => this.flush(), FLUSH_MS).unref();
    this.#waiting.push({ ...entry, at: entry.at.getTime() });
  }

  /** Writes what waits; to be called before the database is closed. */
  flush(): void {
    const entries = this.#waiting;
    if (entries.length === 0) return;
    this.#waiting = [];
    this.#append(entries);
  }

  /** Newest first. */
  read({ before = Number.MAX_SAFE_INTEGER, limit, tenant, sandbox }: AuditPage): readonly AuditEntry[] {
    this.flush();
    const rows = this.#database
      .prepare<[object], Row>(
        `SELECT * FROM audit WHERE id < @before AND (@tenant IS NULL OR tenant = @tenant)
         AND (@sandbox IS NULL OR sandbox = @sandbox OR "from" = @sandbox) ORDER BY id DESC LIMIT @limit`,
      )
      .all({ before, limit, tenant: tenant ?? null, sandbox: sandbox ?? null });
    return rows.map((row) => ({ ...row, at: new Date(row.at) }));
  }
}
