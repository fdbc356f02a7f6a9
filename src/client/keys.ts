import type { CreateKeyBody, KeyList, KeyView, NewKeyView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";

/** What a key is made of: its name, its scopes, and until when it is taken. */
export type NewKey = Omit<CreateKeyBody, "expiresAt" | "scopes"> & {
  readonly scopes: readonly CreateKeyBody["scopes"][number][];
  readonly expiresAt?: Date;
};

/** The API keys of the caller's tenant, or of every tenant for the operator. */
export class Keys {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Makes a key; its `secret` is told this once. */
  async create({ expiresAt, ...key }: NewKey, options?: CallOptions): Promise<NewKeyView> {
    const body = { ...key, ...(expiresAt !== undefined && { expiresAt: expiresAt.toISOString() }) };
    return await this.#connection.json("POST", "/v1/keys", body, options);
  }

  /** Oldest first, revoked and expired ones too. */
  async list(options?: CallOptions): Promise<readonly KeyView[]> {
    return (await this.#connection.json<KeyList>("GET", "/v1/keys", undefined, options)).keys;
  }

  /** From now on the key is refused. */
  async revoke(id: string, options?: CallOptions): Promise<KeyView> {
    return await this.#connection.json("DELETE", `/v1/keys/${encodeURIComponent(id)}`, undefined, options);
  }
}
