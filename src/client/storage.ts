import type { CollectBody, CollectionView, StorageUsageView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";

export type StorageUsage = StorageUsageView;
export type Collection = CollectionView;

/** What the daemon's layers take on its disk. */
export class Storage {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async usage(options?: CallOptions): Promise<StorageUsage> {
    return await this.#connection.json("GET", "/v1/storage", undefined, options);
  }

  /** Takes away what nobody needs, and with a budget what was not used for longest; never what a sandbox stands on. */
  async collect(request: CollectBody = {}, options?: CallOptions): Promise<Collection> {
    return await this.#connection.json("POST", "/v1/storage/collect", request, options);
  }
}
