import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Database } from "better-sqlite3";
import { PlyboxError } from "../model/errors.ts";
import type { SandboxId } from "../model/ids.ts";

/** What opens one port of one sandbox to whoever has it. */
export interface PortToken {
  readonly id: string;
  readonly sandbox: SandboxId;
  readonly port: number;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
}

export interface NewPortToken {
  readonly sandbox: SandboxId;
  readonly port: number;
  readonly expiresInSeconds?: number;
}

interface Row {
  readonly id: string;
  readonly sandbox: string;
  readonly port: number;
  readonly digest: Buffer;
  readonly created_at: number;
  readonly expires_at: number | null;
}

interface Entry {
  readonly token: PortToken;
  readonly digest: Buffer;
}

const TOKEN = /^plyport_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;
const NOBODY = Buffer.alloc(32);
const TABLE = `CREATE TABLE IF NOT EXISTS port_tokens (
  id TEXT PRIMARY KEY, sandbox TEXT NOT NULL, port INTEGER NOT NULL, digest BLOB NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER
) STRICT`;

/**
 * The tokens that open ports. A token is `plyport_ID_SECRET`; what is kept of it is its SHA-256, which is enough for
 * 256 random bits.
 */
export class PortTokens {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
    database.exec(TABLE);
    for (const row of database.prepare<[], Row>("SELECT * FROM port_tokens ORDER BY created_at, id").iterate()) {
      this.#entries.set(row.id, { token: readRow(row), digest: row.digest });
    }
  }

  /** Makes a token; `secret` is the whole of it, which nobody can be told again. */
  create({ sandbox, port, expiresInSeconds }: NewPortToken): { readonly token: PortToken; readonly secret: string } {
    const now = this.#now();
    const id = randomBytes(8).toString("hex");
    const secret = `plyport_${id}_${randomBytes(32).toString("base64url")}`;
    const digest = sha256(secret);
    const expires = expiresInSeconds === undefined ? null : now + expiresInSeconds * 1000;
    const expiresAt = expires === null ? null : new Date(expires);
    const token: PortToken = { id, sandbox, port, createdAt: new Date(now), expiresAt };
    this.#database
      .prepare("INSERT INTO port_tokens (id, sandbox, port, digest, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)")
      .run(id, sandbox, port, digest, now, expires);
    this.#entries.set(id, { token, digest });
    return { token, secret };
  }

  /** Those of a sandbox, oldest first, expired ones too. */
  list(sandbox: SandboxId): readonly PortToken[] {
    return [...this.#entries.values()].map(({ token }) => token).filter((token) => token.sandbox === sandbox);
  }

  /** @throws PlyboxError `port/token-not-found`, also for another sandbox's */
  revoke(sandbox: SandboxId, id: string): void {
    if (this.#entries.get(id)?.token.sandbox !== sandbox) {
      throw new PlyboxError("port/token-not-found", `there is no port token ${JSON.stringify(id.slice(0, 80))}`);
    }
    this.#database.prepare("DELETE FROM port_tokens WHERE id = ?").run(id);
    this.#entries.delete(id);
  }

  /** The token, where it opens this port of this sandbox now. */
  verify(secret: string, sandbox: SandboxId, port: number): PortToken | undefined {
    const id = TOKEN.exec(secret)?.[1];
    const entry = id === undefined ? undefined : this.#entries.get(id);
    // Also compared where there is no such token: the time taken says nothing about which ids exist.
    const matches = timingSafeEqual(sha256(secret), entry?.digest ?? NOBODY);
    if (entry === undefined || !matches) return undefined;
    const { token } = entry;
    if (token.sandbox !== sandbox || token.port !== port) return undefined;
    return token.expiresAt !== null && token.expiresAt.getTime() <= this.#now() ? undefined : token;
  }

  /** Forgets those of every sandbox that is not among the living. */
  keepOnly(isLiving: (sandbox: SandboxId) => boolean): void {
    const dead = new Set([...this.#entries.values()].map(({ token }) => token.sandbox).filter((id) => !isLiving(id)));
    for (const sandbox of dead) this.forget(sandbox);
  }

  /** Forgets those of a sandbox that is gone. */
  forget(sandbox: SandboxId): void {
    const mine = this.list(sandbox);
    if (mine.length === 0) return;
    this.#database.prepare("DELETE FROM port_tokens WHERE sandbox = ?").run(sandbox);
    for (const { id } of mine) this.#entries.delete(id);
  }
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

const readRow = ({ id, sandbox, port, created_at, expires_at }: Row): PortToken => ({
  id,
  sandbox: sandbox as SandboxId,
  port,
  createdAt: new Date(created_at),
  expiresAt: expires_at === null ? null : new Date(expires_at),
});
