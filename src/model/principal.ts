/** What a key may be allowed to do. `admin` administers its own tenant and includes the others. */
export const SCOPES = [
  "sandboxes:read",
  "sandboxes:write",
  "exec",
  "files:read",
  "files:write",
  "ports",
  "events",
  "layers:read",
  "admin",
] as const;

export type Scope = (typeof SCOPES)[number];

/** Who asks: every request has one, and what is done is recorded under its name. */
export interface Principal {
  /** Whose sandboxes it sees. */
  readonly tenant: string;
  /** Of the key that was shown, or `local` for whoever may open the Unix socket. */
  readonly name: string;
  /** Id of the key that was shown, where it was one. */
  readonly key: string | null;
  readonly scopes: ReadonlySet<Scope>;
  /** Runs this daemon: sees every tenant, and may do what concerns all of them. */
  readonly isOperator: boolean;
}

export const DEFAULT_TENANT = "default";

/** Whoever may open the Unix socket or holds the daemon's own token, and code of this process. */
export const LOCAL: Principal = {
  tenant: DEFAULT_TENANT,
  name: "local",
  key: null,
  scopes: new Set(SCOPES),
  isOperator: true,
};
