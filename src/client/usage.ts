import type { ErrorBody, UsageList, UsageView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { PlyboxApiError } from "./plybox-api-error.ts";

/** A series of samples: `intervalMs` (1,000 by default, at least 100) lies between two. */
export interface SeriesOptions extends CallOptions {
  readonly intervalMs?: number;
}

/** One sandbox's usage now, and its series to iterate over; leaving the loop, or an abort, ends it. */
export function usageOf(connection: Connection, path: string): UsageReader<UsageView> {
  return new UsageReader<UsageView>(connection, path, (view) => view as UsageView);
}

/** The usage of every sandbox. */
export function usageOfAll(connection: Connection): UsageReader<readonly UsageView[]> {
  return new UsageReader(connection, "/v1/usage", (view) => (view as UsageList).usage);
}

export class UsageReader<T> {
  readonly #connection: Connection;
  readonly #path: string;
  readonly #read: (view: unknown) => T;

  constructor(connection: Connection, path: string, read: (view: unknown) => T) {
    this.#connection = connection;
    this.#path = path;
    this.#read = read;
  }

  async now(options?: CallOptions): Promise<T> {
    return this.#read(await this.#connection.json("GET", this.#path, undefined, options));
  }

  async *series({ intervalMs, signal }: SeriesOptions = {}): AsyncGenerator<T, void, undefined> {
    const query = intervalMs === undefined ? "" : `?intervalMs=${intervalMs}`;
    const events = await this.#connection.events("GET", this.#path + query, undefined, { signal });
    for await (const { event, data } of events) {
      const view: unknown = JSON.parse(data);
      if (event === "error") throw new PlyboxApiError(view as ErrorBody["error"], 0);
      if (event === "usage") yield this.#read(view);
    }
  }
}
