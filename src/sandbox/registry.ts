import { BOOT_ID } from "../base/process-mark.ts";
import type { Sandbox } from "../model/sandbox.ts";
import { DEFAULT_LIMITS } from "../model/sandbox.ts";
import type { Database } from "./database.ts";

/** A sandbox with what only a daemon that comes back needs to know of it. */
export interface RegistryEntry {
  readonly sandbox: Sandbox;
  /** Digests of its layers, bottom first: a name may mean another layer by then. */
  readonly digests: readonly string[];
}

/** An entry as it is found. */
export interface KeptEntry extends RegistryEntry {
  /** Whether the machine has started anew since it was written: its processes are gone, whoever has their pids now. */
  readonly hasRebooted: boolean;
}

/** Where sandboxes are kept; every write is done when the method returns. */
export interface Registry {
  put(entry: RegistryEntry): void;
  /** Replaces the sandbox of an entry that is there. */
  update(sandbox: Sandbox): void;
  /** Replaces the sandbox of an entry that is there, with what it stands on. */
  restack(entry: RegistryEntry): void;
  delete(id: string): void;
  all(): readonly KeptEntry[];
}

interface Row {
  readonly body: string;
  readonly digests: string;
}

/**
 * The registry in the daemon's database.
 * @param boot of the machine's present run
 */
export function openRegistry(database: Database, boot = BOOT_ID): Registry {
  database.exec(
    "CREATE TABLE IF NOT EXISTS sandboxes (id TEXT PRIMARY KEY, body TEXT NOT NULL, digests TEXT NOT NULL) STRICT",
  );
  const put = database.prepare<[string, string, string]>("INSERT INTO sandboxes (id, body, digests) VALUES (?, ?, ?)");
  const update = database.prepare<[string, string]>("UPDATE sandboxes SET body = ? WHERE id = ?");
  const restack = database.prepare<[string, string, string]>("UPDATE sandboxes SET body = ?, digests = ? WHERE id = ?");
  const remove = database.prepare<[string]>("DELETE FROM sandboxes WHERE id = ?");
  const all = database.prepare<[], Row>("SELECT body, digests FROM sandboxes ORDER BY id");
  const write = (sandbox: Sandbox): string => JSON.stringify({ ...sandbox, boot });
  return {
    put: ({ sandbox, digests }) => void put.run(sandbox.id, write(sandbox), JSON.stringify(digests)),
    update: (sandbox) => void update.run(write(sandbox), sandbox.id),
    restack: ({ sandbox, digests }) => void restack.run(write(sandbox), JSON.stringify(digests), sandbox.id),
    delete: (id) => void remove.run(id),
    all: () => all.all().map((row) => readRow(row, boot)),
  };
}

/** A sandbox as JSON has it: without dates, and with the boot in which it was written. */
export type StoredSandbox = Omit<
  Sandbox,
  "createdAt" | "expiresAt" | "unheld" | "lineage" | "cwd" | "user" | "warnings" | "grafting" | "saved"
> & {
  readonly unheld?: Sandbox["unheld"];
  readonly lineage?: Sandbox["lineage"];
  readonly warnings?: readonly string[];
  readonly grafting?: Sandbox["grafting"];
  readonly saved?: number | null;
  readonly cwd?: string | null;
  readonly user?: string | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly boot?: string;
};

function readRow({ body, digests }: Row, now: string): KeptEntry {
  const stored = JSON.parse(body) as StoredSandbox;
  return {
    sandbox: readSandbox(stored),
    digests: JSON.parse(digests) as string[],
    hasRebooted: stored.boot !== now,
  };
}

export function readSandbox({ boot: _, ...stored }: StoredSandbox): Sandbox {
  const { createdAt, expiresAt } = stored;
  return {
    ...stored,
    // What an earlier version did not know has its default.
    limits: { ...DEFAULT_LIMITS, ...stored.limits },
    unheld: stored.unheld ?? [],
    lineage: stored.lineage ? { ...stored.lineage, merged: stored.lineage.merged ?? [] } : null,
    warnings: stored.warnings ?? [],
    grafting: stored.grafting ?? null,
    saved: stored.saved ?? null,
    cwd: stored.cwd ?? null,
    user: stored.user ?? null,
    createdAt: new Date(createdAt),
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
  };
}
