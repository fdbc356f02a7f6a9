import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Database } from "better-sqlite3";
import type { ApiKey } from "../model/access.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Principal, Scope } from "../model/principal.ts";
import { SCOPES } from "../model/principal.ts";

export interface NewKey {
  readonly name: string;
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt?: Date;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  readonly scopes: string;
  readonly digest: Buffer;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  readonly last_used_at: number | null;
}

interface Entry {
  readonly key: ApiKey;
  readonly digest: Buffer;
}

const KEY = /^ply_([0-9a-z]{12})_([A-Za-z0-9_-]{43})$/;
/** The last use is told to the minute, so that using a key seldom writes. */
const USE_RESOLUTION_MS = 60_000;

const TABLE = `CREATE TABLE IF NOT EXISTS api_keys (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, tenant TEXT NOT NULL, scopes TEXT NOT NULL, digest BLOB NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER, last_used_at INTEGER
) STRICT`;

/**
 * The API keys of every tenant. A key is `ply_ID_SECRET`; what is kept of the secret is its SHA-256, which is enough for
 * 256 random bits.
 */
export class ApiKeys {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
    database.exec(TABLE);
    for (const row of database.prepare<[], Row>("SELECT * FROM api_keys ORDER BY created_at, id").iterate()) {
      this.#entries.set(row.id, { key: readRow(row), digest: row.digest });
    }
  }

  /** Makes a key; `secret` is the whole of it, which nobody can be told again. */
  create({ name, tenant, scopes, expiresAt }: NewKey): { readonly key: ApiKey; readonly secret: string } {
    const now = this.#now();
    if (expiresAt !== undefined && expiresAt.getTime() <= now) {
      throw new PlyboxError("input/invalid", "expiresAt is not in the future", { field: "expiresAt" });
    }
    const id = randomId();
    const secret = `ply_${id}_${randomBytes(32).toString("base64url")}`;
    const digest = sha256(secret);
    const key: ApiKey = {
      id,
      name,
      tenant,
      scopes: SCOPES.filter((scope) => scopes.includes(scope)),
      createdAt: new Date(now),
      expiresAt: expiresAt ?? null,
      revokedAt: null,
      lastUsedAt: null,
    };
    this.#database
      .prepare(
        "INSERT INTO api_keys (id, name, tenant, scopes, digest, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(id, name, tenant, key.scopes.join(" "), digest, now, expiresAt?.getTime() ?? null);
    this.#entries.set(id, { key, digest });
    return { key, secret };
  }

  /** Oldest first, revoked and expired ones too; of one tenant, or of all. */
  list(tenant?: string): readonly ApiKey[] {
    const keys = [...this.#entries.values()].map(({ key }) => key);
    return tenant === undefined ? keys : keys.filter((key) => key.tenant === tenant);
  }

  /**
   * From now on the key is refused; revoking twice is harmless.
   * @param tenant the key must belong to it, where given
   * @throws PlyboxError `key/not-found`
   */
  revoke(id: string, tenant?: string): ApiKey {
    const entry = this.#entries.get(id);
    if (entry === undefined || (tenant !== undefined && entry.key.tenant !== tenant)) {
      throw new PlyboxError("key/not-found", `there is no key ${JSON.stringify(id.slice(0, 80))}`);
    }
    if (entry.key.revokedAt !== null) return entry.key;
    const now = this.#now();
    this.#database.prepare("UPDATE api_keys SET revoked_at = ? WHERE id = ?").run(now, id);
    const key = { ...entry.key, revokedAt: new Date(now) };
    this.#entries.set(id, { ...entry, key });
    return key;
  }

  /**
   * Whose key it is; undefined for what is no key at all.
   * @throws PlyboxError `auth/refused` for one that is unknown, revoked or expired
   */
  principalOf(secret: string): Principal | undefined {
    const id = KEY.exec(secret)?.[1];
    if (id === undefined) return undefined;
    const entry = this.#entries.get(id);
    // Also compared where there is no such key: the time taken says nothing about which ids exist.
    const matches = timingSafeEqual(sha256(secret), entry?.digest ?? NOBODY);
    if (entry === undefined || !matches) throw new PlyboxError("auth/refused", "there is no such API key");
    const { key } = entry;
    if (key.revokedAt !== null) throw new PlyboxError("auth/refused", `the API key ${key.id} is revoked`);
    if (key.expiresAt !== null && key.expiresAt.getTime() <= this.#now()) {
      throw new PlyboxError("auth/refused", `the API key ${key.id} has expired`);
    }
    this.#use(entry);
    return { tenant: key.tenant, name: key.name, key: key.id, scopes: new Set(key.scopes), isOperator: false };
  }

  #use(entry: Entry): void {
    const now = this.#now();
    if (now - (entry.key.lastUsedAt?.getTime() ?? 0) < USE_RESOLUTION_MS) return;
    this.#database.prepare("UPDATE api_keys SET last_used_at = ? WHERE id = ?").run(now, entry.key.id);
    this.#entries.set(entry.key.id, { ...entry, key: { ...entry.key, lastUsedAt: new Date(now) } });
  }
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
/** The digest of no key. */
const NOBODY = Buffer.alloc(32);

function randomId(): string {
  const alphabet = "0123456789abcdefghijklmnopqrstuv";
  return Array.from(randomBytes(12), (byte) => alphabet.charAt(byte & 31)).join("");
}

const dateOf = (at: number | null): Date | null => (at === null ? null : new Date(at));

function readRow(row: Row): ApiKey {
  return {
    id: row.id,
    name: row.name,
    tenant: row.tenant,
    scopes: row.scopes.split(" ") as Scope[],
    createdAt: new Date(row.created_at),
    expiresAt: dateOf(row.expires_at),
    revokedAt: dateOf(row.revoked_at),
    lastUsedAt: dateOf(row.last_used_at),
  };
}
