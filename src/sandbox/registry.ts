import type { Sandbox } from "../model/sandbox.ts";
import { DEFAULT_LIMITS } from "../model/sandbox.ts";
import type { Database } from "./database.ts";

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
}

interface Row {
  readonly body: string;
  readonly digests: string;
}

/** The registry in the daemon's database. */
export function openRegistry(database: Database): Registry {
  database.exec(
    "CREATE TABLE IF NOT EXISTS sandboxes (id TEXT PRIMARY KEY, body TEXT NOT NULL, digests TEXT NOT NULL) STRICT",
  );
  const put = database.prepare<[string, string, string]>("INSERT INTO sandboxes (id, body, digests) VALUES (?, ?, ?)");
  const update = database.prepare<[string, string]>("UPDATE sandboxes SET body = ? WHERE id = ?");
  const remove = database.prepare<[string]>("DELETE FROM sandboxes WHERE id = ?");
  const all = database.prepare<[], Row>("SELECT body, digests FROM sandboxes ORDER BY id");
  return {
    put: ({ sandbox, digests }) => void put.run(sandbox.id, JSON.stringify(sandbox), JSON.stringify(digests)),
    update: (sandbox) => void update.run(JSON.stringify(sandbox), sandbox.id),
    delete: (id) => void remove.run(id),
    all: () => all.all().map(readRow),
  };
}

/** A sandbox as JSON has it: without dates. */
type StoredSandbox = Omit<Sandbox, "createdAt" | "expiresAt"> & {
  readonly createdAt: string;
  readonly expiresAt: string | null;
};

function readRow({ body, digests }: Row): RegistryEntry {
  const stored = JSON.parse(body) as StoredSandbox;
  const { createdAt, expiresAt } = stored;
  return {
    sandbox: {
      ...stored,
      // What an earlier version did not know has its default.
      limits: { ...DEFAULT_LIMITS, ...stored.limits },
      createdAt: new Date(createdAt),
      expiresAt: expiresAt === null ? null : new Date(expiresAt),
    },
    digests: JSON.parse(digests) as string[],
  };
}
