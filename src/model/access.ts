import type { Scope } from "./principal.ts";

/** An API key as it is shown: never with its secret. */
export interface ApiKey {
  /** The public part of the key, by which it is listed and revoked. */
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** To the minute. */
  readonly lastUsedAt: Date | null;
}

/** So many a minute on average, and at most `burst` at once. */
export interface Rate {
  readonly perMinute: number;
  readonly burst: number;
}

/** What the sandboxes of a tenant may take together; null: no limit. */
export interface Quotas {
  readonly sandboxes: number | null;
  readonly cpus: number | null;
  readonly memoryBytes: number | null;
  /** Of the writable layers. A sandbox whose layer has no size limit is refused where this is set. */
  readonly diskBytes: number | null;
  readonly requests: Rate | null;
  readonly execs: Rate | null;
}

export const NO_QUOTAS: Quotas = {
  sandboxes: null,
  cpus: null,
  memoryBytes: null,
  diskBytes: null,
  requests: null,
  execs: null,
};

export interface Tenant {
  readonly name: string;
  readonly quotas: Quotas;
}

/** One request that changed something, or was to. */
export interface AuditEntry {
  /** Counts up. */
  readonly id: number;
  readonly at: Date;
  /** Null where nobody was known. */
  readonly tenant: string | null;
  readonly by: string | null;
  readonly key: string | null;
  /** The operation's id in the OpenAPI document. */
  readonly action: string;
  /** The request's path. */
  readonly path: string;
  /** Id of the sandbox it was about. */
  readonly sandbox: string | null;
  /** Id of the sandbox or the checkpoint whose changes went into that one. */
  readonly from: string | null;
  readonly status: number;
  /** Code of the error that it was answered with. */
  readonly code: string | null;
  /** Address of the client; null on the Unix socket. */
  readonly remote: string | null;
}
