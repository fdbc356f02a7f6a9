/** Who asks: every request has one, and what is done is recorded under its name. */
export interface Principal {
  /** Whose sandboxes it sees. */
  readonly tenant: string;
  /** Of the key that was shown, or `local` for whoever may open the Unix socket. */
  readonly name: string;
}

export const DEFAULT_TENANT = "default";

/** Whoever may open the Unix socket, and code of this process. */
export const LOCAL: Principal = { tenant: DEFAULT_TENANT, name: "local" };
