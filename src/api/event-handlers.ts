import { PlyboxError } from "../model/errors.ts";
import type { LoggedEvent } from "../model/event.ts";
import { expandTypes } from "../model/event.ts";
import type { Principal } from "../model/principal.ts";
import { eventJson } from "../sandbox/events/event-data.ts";
import type { EventFilter, EventLog, LogItem } from "../sandbox/events/event-log.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import { acceptsEvents, json } from "./answers.ts";
import type { EventList, EventView } from "./contract.ts";
import type { EventRoutes } from "./event-routes.ts";
import type { Call, Handlers } from "./route.ts";
import type { ServerSentEvent, ServerSentEventOptions } from "./server-sent-events.ts";
import { serverSentEvents } from "./server-sent-events.ts";

export interface EventHandlerOptions extends ServerSentEventOptions {
  readonly events: EventLog;
  readonly sandboxes: Pick<Sandboxes, "get">;
}

export function eventHandlers({ events, sandboxes, ...options }: EventHandlerOptions): Handlers<EventRoutes> {
  return {
    readEvents({ principal, query, incoming }) {
      const filter = filterOf(principal, query, sandboxes);
      events.flush();
      if (!acceptsEvents(incoming)) {
        const { limit = 100 } = query;
        const after = query.after === undefined ? undefined : known(query.after, events);
        const page = after === undefined ? events.latest(filter, limit) : events.read(after, filter, limit);
        return json(200, listView(page.items, page.next));
      }
      const resumed = lastEventId(incoming.headers["last-event-id"]?.toString());
      const after = known(resumed ?? query.after ?? events.newest, events);
      return serverSentEvents((signal) => stream(events, after, filter, signal), options);
    },
  };
}

async function* stream(
  events: EventLog,
  after: number,
  filter: EventFilter,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent> {
  yield { event: "begin", id: `${after}`, data: { after } };
  for await (const { items } of events.follow(after, filter, signal)) {
    for (const item of items) {
      if (item.kind === "gap") yield { event: "gap", id: `${item.to}`, data: { from: item.from, to: item.to } };
      else yield { event: item.type, id: `${item.id}`, data: eventView(item) };
    }
  }
}

/** Everybody is told of their own tenant's sandboxes, the operator of all. */
function filterOf(
  principal: Principal,
  { type, sandbox, label }: Call<EventRoutes["readEvents"]>["query"],
  sandboxes: Pick<Sandboxes, "get">,
): EventFilter {
  return {
    ...(!principal.isOperator && { tenant: principal.tenant }),
    ...(label !== undefined && { labels: label }),
    ...(type !== undefined && { types: expandTypes(type.split(",")) }),
    ...(sandbox !== undefined && { sandbox: eventSandboxId(sandbox, principal, sandboxes) }),
  };
}

/** What happened to a sandbox can be read when it is gone, by its id. */
export function eventSandboxId(ref: string, { tenant }: Principal, sandboxes: Pick<Sandboxes, "get">): string {
  try {
    return sandboxes.get(ref, tenant).id;
  } catch (error) {
    if (ref.startsWith("sb_") && error instanceof PlyboxError && error.code === "sandbox/not-found") return ref;
    throw error;
  }
}

/** An id that no event has had cannot be gone on after: it comes from another daemon. */
function known(after: number, events: EventLog): number {
  if (after <= events.newest) return after;
  throw new PlyboxError("input/invalid", `there has been no event ${after}; the latest is ${events.newest}`, {
    field: "after",
  });
}

const lastEventId = (text: string | undefined): number | undefined =>
  text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;

function listView(items: readonly LogItem[], next: number): EventList {
  return {
    events: items.flatMap((item) => (item.kind === "event" ? [eventView(item)] : [])),
    gaps: items.flatMap((item) => (item.kind === "gap" ? [{ from: item.from, to: item.to }] : [])),
    next,
  };
}

/** The log holds what the schema says: it is written by this daemon or by an earlier one. */
const eventView = (event: LoggedEvent): EventView => eventJson(event) as unknown as EventView;
