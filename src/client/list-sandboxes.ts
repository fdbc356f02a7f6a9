import type { ListQuery, SandboxList, SandboxView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";

/** Which sandboxes are wanted; what is absent excludes none. */
export interface SandboxFilter {
  /** Labels that must be there: with this value, or with any where it is `true`. */
  readonly labels?: Readonly<Record<string, string | true>>;
  /** States, of which one must be met. */
  readonly state?: SandboxView["state"]["kind"] | readonly SandboxView["state"]["kind"][];
  /** A name, or the beginning of one with `*`; of several, one must be met. */
  readonly name?: string | readonly string[];
}

export interface ListOptions extends SandboxFilter, CallOptions {
  /** How many one answer holds at most, 1 to 1000; 500 by default. */
  readonly pageSize?: number;
}

export interface PageOptions extends ListOptions {
  /** `next` of the page before. */
  readonly after?: string;
}

/** One answer: at most `pageSize` sandboxes. */
export async function listPage(connection: Connection, options: PageOptions = {}): Promise<SandboxList> {
  const { labels = {}, state, name, pageSize, after, signal } = options;
  const query = new URLSearchParams();
  const add = (field: keyof ListQuery, values: string | readonly string[] | undefined): void => {
    for (const value of values === undefined ? [] : [values].flat()) query.append(field, value);
  };
  for (const [key, value] of Object.entries(labels)) add("label", value === true ? key : `${key}=${value}`);
  add("state", state);
  add("name", name);
  add("limit", pageSize?.toString());
  add("after", after);
  const path = query.size === 0 ? "/v1/sandboxes" : `/v1/sandboxes?${query}`;
  return await connection.json<SandboxList>("GET", path, undefined, { signal });
}

/** All pages, one sandbox after the other; the next page is asked for when it is needed. */
export async function* eachSandbox(
  connection: Connection,
  options: ListOptions = {},
): AsyncGenerator<SandboxView, void, undefined> {
  let after: string | undefined;
  do {
    const { sandboxes, next } = await listPage(connection, { ...options, ...(after !== undefined && { after }) });
    yield* sandboxes;
    after = next ?? undefined;
  } while (after !== undefined);
}
