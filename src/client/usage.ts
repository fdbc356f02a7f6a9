import type { ErrorBody, ProcessList, UsageList, UsageView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { PlyboxApiError } from "./plybox-api-error.ts";

/** What a sandbox takes from the machine; null where this kernel, or this kind of sandbox, does not tell. */
export type Usage = UsageView;
export type Processes = ProcessList;

export interface WatchUsageOptions extends CallOptions {
  /** Between two samples; 1,000 by default, at least 100. */
  readonly intervalMs?: number;
}

export const usageOf = (connection: Connection, sandboxPath: string, options?: CallOptions): Promise<Usage> =>
  connection.json("GET", `${sandboxPath}/usage`, undefined, options);

export async function usageOfAll(connection: Connection, options?: CallOptions): Promise<readonly Usage[]> {
  return (await connection.json<UsageList>("GET", "/v1/usage", undefined, options)).usage;
}

export const watchUsage = (
  connection: Connection,
  sandboxPath: string,
  options: WatchUsageOptions = {},
): AsyncGenerator<Usage, void, undefined> => series<Usage>(connection, `${sandboxPath}/usage`, options);

export async function* watchUsageOfAll(
  connection: Connection,
  options: WatchUsageOptions = {},
): AsyncGenerator<readonly Usage[], void, undefined> {
  for await (const { usage } of series<UsageList>(connection, "/v1/usage", options)) yield usage;
}

/** Leaving the loop ends the series on both sides. */
async function* series<T>(
  connection: Connection,
  path: string,
  { intervalMs, signal }: WatchUsageOptions,
): AsyncGenerator<T, void, undefined> {
  const query = intervalMs === undefined ? "" : `?intervalMs=${intervalMs}`;
  for await (const { event, data } of await connection.events("GET", path + query, undefined, { signal })) {
    if (event === "error") throw new PlyboxApiError(JSON.parse(data) as ErrorBody["error"], 0);
    if (event === "usage") yield JSON.parse(data) as T;
  }
}
