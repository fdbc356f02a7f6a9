import type { SetTenantBody, TenantList, TenantView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";

/** Tenants and their quotas; for the operator of the daemon. */
export class Tenants {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Those that have quotas. */
  async list(options?: CallOptions): Promise<readonly TenantView[]> {
    return (await this.#connection.json<TenantList>("GET", "/v1/tenants", undefined, options)).tenants;
  }

  async get(name: string, options?: CallOptions): Promise<TenantView> {
    return await this.#connection.json("GET", pathOf(name), undefined, options);
  }

  /** Sets the quotas that are named; the others stay. `null` takes a quota away. */
  async set(name: string, quotas: SetTenantBody, options?: CallOptions): Promise<TenantView> {
    return await this.#connection.json("PATCH", pathOf(name), quotas, options);
  }
}

const pathOf = (name: string): string => `/v1/tenants/${encodeURIComponent(name)}`;
