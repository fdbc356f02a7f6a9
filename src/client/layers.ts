import type { LayerListView, LayerView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";

/** The daemon's layers. */
export class Layers {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async list(options?: CallOptions): Promise<readonly LayerView[]> {
    return (await this.#connection.json<LayerListView>("GET", "/v1/layers", undefined, options)).layers;
  }

  async get(name: string, options?: CallOptions): Promise<LayerView> {
    return await this.#connection.json("GET", pathOf(name), undefined, options);
  }

  /** Removes a layer that no sandbox uses. */
  async remove(name: string, options?: CallOptions): Promise<void> {
    await this.#connection.json("DELETE", pathOf(name), undefined, options);
  }
}

const pathOf = (name: string): string => `/v1/layers/${encodeURIComponent(name)}`;
