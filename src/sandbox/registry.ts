import Database from "better-sqlite3";
import { PlyboxError } from "../model/errors.ts";
import type { Sandbox } from "../model/sandbox.ts";

/** A sandbox with what only a daemon that comes back needs to know of it. */
export interface RegistryEntry {
  readonly sandbox: Sandbox;
  /** Digests of its layers, bottom first: a name may mean another layer by then. */
  readonly digests: readonly string[];
}

/** Where sandboxes are kept; every write is done when the method returns. */
export interface Registry {
  put(entry: RegistryEntry): void;
  /** Replaces the sandbox of an entry that is there. */
  update(sandbox: Sandbox): void;
  delete(id: string): void;
  all(): readonly RegistryEntry[];
  close(): void;
}

interface Row {
  readonly body: string;
  readonly digests: string;
}

const VERSION = 1;

/**
 * The registry in a SQLite file. An acknowledged write survives the death of this process; one daemon may have it open.
 * @throws PlyboxError `daemon/unreachable` when another process has it open, `internal` for a file of a later version
 */
export function openRegistry(path: string): Registry {
  const database = new Database(path, { timeout: 0 });
  try {
    prepare(database);
  } catch (cause) {
    database.close();
    if (cause instanceof Error && "code" in cause && String(cause.code).startsWith("SQLITE_BUSY")) {
      throw new PlyboxError("daemon/unreachable", `another daemon uses ${path}`, { cause });
    }
    throw cause;
  }
  const put = database.prepare<[string, string, string]>("INSERT INTO sandboxes (id, body, digests) VALUES (?, ?, ?)");
  const update = database.prepare<[string, string]>("UPDATE sandboxes SET body = ? WHERE id = ?");
  const remove = database.prepare<[string]>("DELETE FROM sandboxes WHERE id = ?");
  const all = database.prepare<[], Row>("SELECT body, digests FROM sandboxes ORDER BY id");
  return {
    put: ({ sandbox, digests }) => void put.run(sandbox.id, JSON.stringify(sandbox), JSON.stringify(digests)),
    update: (sandbox) => void update.run(JSON.stringify(sandbox), sandbox.id),
    delete: (id) => void remove.run(id),
    all: () => all.all().map(readRow),
    close: () => void database.close(),
  };
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
    database.exec("CREATE TABLE sandboxes (id TEXT PRIMARY KEY, body TEXT NOT NULL, digests TEXT NOT NULL) STRICT");
    database.pragma(`user_version = ${VERSION}`);
  })();
}

function readRow({ body, digests }: Row): RegistryEntry {
  const sandbox = JSON.parse(body) as Omit<Sandbox, "createdAt"> & { createdAt: string };
  return {
    sandbox: { ...sandbox, createdAt: new Date(sandbox.createdAt) },
    digests: JSON.parse(digests) as string[],
  };
}
