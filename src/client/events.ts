import type { ErrorBody, EventGapView, EventList, EventView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { PlyboxApiError, unreachable } from "./plybox-api-error.ts";
import type { ServerSentEvent } from "./server-sent-events.ts";

/** What happened to a sandbox; `type` says what, and what `data` has. */
export type SandboxEvent = EventView;

/** An event, or the ids of events that are not kept any more. */
export type EventItem = SandboxEvent | ({ readonly type: "gap" } & EventGapView);

export interface EventQuery {
  /** These types alone; `exec.*` is all of an area. */
  readonly types?: readonly string[];
  /** This sandbox alone, by id or name. */
  readonly sandbox?: string;
  /** `key` or `key=value`; the sandbox had all of them. */
  readonly labels?: readonly string[];
}

export interface FollowOptions extends EventQuery, CallOptions {
  /** Begin with what came after the event of this id; with what comes from now on where it is not given. */
  readonly after?: number;
}

export interface ReadOptions extends EventQuery, CallOptions {
  /** Those after this id; the latest where it is not given. */
  readonly after?: number;
  /** At most so many; 100 by default, 1,000 at most. */
  readonly limit?: number;
}

/** How long is waited before the daemon is tried again, at most. */
const MAX_PAUSE_MS = 5000;

/** Events that are kept, oldest first; `next` is the id to go on after. */
export async function readEvents(connection: Connection, options: ReadOptions = {}): Promise<EventList> {
  const { signal, limit, ...query } = options;
  return await connection.json("GET", pathOf(query, limit), undefined, { signal });
}

/**
 * Events as they come, without an end but the signal's abort, which throws its reason. Where the connection breaks or
 * the daemon starts anew it goes on after the last event; what is not kept any more by then comes as a `gap`.
 */
export async function* followEvents(
  connection: Connection,
  { signal, after, ...query }: FollowOptions = {},
): AsyncGenerator<EventItem, void, undefined> {
  let last = after;
  for (let failures = 0; ; ) {
    try {
      const path = pathOf({ ...query, ...(last !== undefined && { after: last }) });
      for await (const event of await connection.events("GET", path, undefined, { signal })) {
        const item = itemOf(event);
        failures = 0;
        last = Number(event.id);
        if (item !== undefined) yield item;
      }
    } catch (error) {
      // Whoever has never been told of a place to begin would miss events without a word.
      if (!isOver(error) || last === undefined) throw error;
    }
    signal?.throwIfAborted();
    if (last === undefined) throw unreachable("the stream of events ended before it began");
    await pause(Math.min(MAX_PAUSE_MS, 100 * 2 ** failures), signal);
    failures += 1;
  }
}

/** Whether the connection, and not the daemon, said no. */
const isOver = (error: unknown): boolean =>
  error instanceof PlyboxApiError && (error.code === "daemon/unreachable" || error.code === "daemon/stopping");

/** Undefined for what is no event to the user: where the stream begins, and what a newer daemon sends. */
function itemOf({ event, data }: ServerSentEvent): EventItem | undefined {
  const view: unknown = JSON.parse(data);
  if (event === "error") throw new PlyboxApiError(view as ErrorBody["error"], 0);
  if (event === "gap") return { type: "gap", ...(view as EventGapView) };
  return event === "begin" ? undefined : (view as SandboxEvent);
}

function pathOf({ after, types, sandbox, labels = [] }: EventQuery & { after?: number }, limit?: number): string {
  const query = new URLSearchParams();
  if (after !== undefined) query.set("after", `${after}`);
  if (limit !== undefined) query.set("limit", `${limit}`);
  if (types !== undefined && types.length > 0) query.set("type", types.join(","));
  if (sandbox !== undefined) query.set("sandbox", sandbox);
  for (const label of labels) query.append("label", label);
  return query.size === 0 ? "/v1/events" : `/v1/events?${query}`;
}

/** Waits; an abort throws its reason. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
