import type { Database } from "better-sqlite3";
import type { Quotas, Tenant } from "../model/access.ts";
import { NO_QUOTAS } from "../model/access.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Sandbox } from "../model/sandbox.ts";
import { TokenBucket } from "./token-bucket.ts";

/** What is let through only so often. */
export type Limited = "requests" | "execs";

/** The quotas of tenants, and what stands against them. A tenant that nobody has set has none. */
export class Tenants {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #quotas = new Map<string, Quotas>();
  readonly #buckets = new Map<string, TokenBucket>();

  /** @param now milliseconds of a clock that never steps back */
  constructor(database: Database, now: () => number = () => performance.now()) {
    this.#database = database;
    this.#now = now;
    database.exec("CREATE TABLE IF NOT EXISTS tenants (name TEXT PRIMARY KEY, quotas TEXT NOT NULL) STRICT");
    const rows = database.prepare<[], { name: string; quotas: string }>("SELECT name, quotas FROM tenants").all();
    for (const { name, quotas } of rows) this.#quotas.set(name, { ...NO_QUOTAS, ...JSON.parse(quotas) });
  }

  /** Those that have been set, by name. */
  list(): readonly Tenant[] {
    return [...this.#quotas].map(([name, quotas]) => ({ name, quotas })).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  quotasOf(tenant: string): Quotas {
    return this.#quotas.get(tenant) ?? NO_QUOTAS;
  }

  /** Replaces the quotas that are named; the others stay. Sandboxes that exist stay, too. */
  set(tenant: string, quotas: Partial<Quotas>): Tenant {
    const next = { ...this.quotasOf(tenant), ...quotas };
    this.#database
      .prepare(
        "INSERT INTO tenants (name, quotas) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET quotas = excluded.quotas",
      )
      .run(tenant, JSON.stringify(next));
    this.#quotas.set(tenant, next);
    for (const limited of ["requests", "execs"] as const) this.#buckets.delete(`${tenant}/${limited}`);
    return { name: tenant, quotas: next };
  }

  /**
   * Counts one request against the tenant's rate.
   * @throws PlyboxError `rate/limited`, which says after how long to try again
   */
  spend(tenant: string, what: Limited): void {
    const rate = this.quotasOf(tenant)[what];
    if (rate === null) return;
    const key = `${tenant}/${what}`;
    const bucket = this.#buckets.get(key) ?? new TokenBucket(rate, this.#now);
    this.#buckets.set(key, bucket);
    const retryAfterMs = bucket.take();
    if (retryAfterMs === 0) return;
    throw new PlyboxError("rate/limited", `tenant ${tenant} may make ${rate.perMinute} ${what} a minute`, {
      retryAfterMs,
    });
  }

  /**
   * Checks whether a sandbox has room beside those that live.
   * @param living of every tenant; those that are gone do not count
   * @throws PlyboxError `quota/exceeded` that names the quota
   */
  admit(wanted: Sandbox, living: readonly Sandbox[]): void {
    const quotas = this.quotasOf(wanted.tenant);
    // As most: the sandboxes that live need not be gone through.
    if (quotas === NO_QUOTAS) return;
    const others = living.filter(({ id, tenant }) => tenant === wanted.tenant && id !== wanted.id);
    for (const [quota, amountOf] of Object.entries(AMOUNTS)) {
      const most = quotas[quota as keyof typeof AMOUNTS];
      if (most === null) continue;
      const used = others.reduce((sum, sandbox) => sum + amountOf(sandbox), 0);
      if (used + amountOf(wanted) <= most) continue;
      const message = `tenant ${wanted.tenant} may have ${most} ${quota}; its sandboxes take ${used}`;
      throw new PlyboxError("quota/exceeded", message, { field: quota });
    }
  }
}

const AMOUNTS = {
  sandboxes: () => 1,
  cpus: ({ limits }) => limits.cpus,
  memoryBytes: ({ limits }) => limits.memoryBytes,
  // What has no limit may take all there is.
  diskBytes: ({ upper }) => upper.bytes ?? Number.POSITIVE_INFINITY,
} as const satisfies Record<string, (sandbox: Sandbox) => number>;
