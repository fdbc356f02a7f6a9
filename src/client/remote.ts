import type { ErrorBody, MovedLayersView, PullBody, PushBody, RemoteProgressView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { PlyboxApiError, unreachable } from "./plybox-api-error.ts";

/** What became of a layer that was to be moved. */
export type MovedLayer = MovedLayersView["layers"][number];
export type RemoteProgress = RemoteProgressView;

export interface RemoteOptions extends CallOptions {
  /** Told of each layer's image as it goes. */
  readonly onProgress?: (progress: RemoteProgress) => void;
}

/** The daemon's object storage, which any number of hosts share. */
export class Remote {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Sends layers, and before them those that they were made on. */
  async push(
    names: readonly string[],
    options: Omit<PushBody, "layers"> & RemoteOptions = {},
  ): Promise<readonly MovedLayer[]> {
    return await this.#move("push", { layers: [...names] }, options);
  }

  /** Fetches layers, and before them those that they were made on. */
  async pull(
    names: readonly string[],
    options: Omit<PullBody, "layers"> & RemoteOptions = {},
  ): Promise<readonly MovedLayer[]> {
    return await this.#move("pull", { layers: [...names] }, options);
  }

  /** Sends what has a name here and none there, and the other way round. */
  async sync(options: RemoteOptions = {}): Promise<readonly MovedLayer[]> {
    return await this.#move("sync", {}, options);
  }

  async #move(what: string, named: object, options: RemoteOptions): Promise<readonly MovedLayer[]> {
    const { signal, onProgress, ...fields } = options;
    const place = `/v1/remote/${what}`;
    const body = { ...named, ...fields };
    if (onProgress === undefined) {
      return (await this.#connection.json<MovedLayersView>("POST", place, body, { signal })).layers;
    }
    for await (const { event, data } of await this.#connection.events("POST", place, body, { signal })) {
      if (event === "progress") onProgress(JSON.parse(data) as RemoteProgress);
      if (event === "moved") return (JSON.parse(data) as MovedLayersView).layers;
      if (event === "error") throw new PlyboxApiError(JSON.parse(data) as ErrorBody["error"], 0);
    }
    throw unreachable("the answer broke off");
  }
}
