import type { Route } from "./route.ts";
import { EVENT_VIEWS, eventGap, eventList, eventQuery, eventStreamBegin } from "./schemas/event.ts";
import { errorBody } from "./schemas/system.ts";

export const EVENT_ROUTES = {
  readEvents: {
    method: "GET",
    path: "/v1/events",
    summary: "What has happened to the sandboxes; as a stream, what happens",
    query: eventQuery,
    answers: {
      200: {
        description: "Events that are kept; or events as they come",
        json: eventList,
        events: { begin: eventStreamBegin, ...EVENT_VIEWS, gap: eventGap, error: errorBody.shape.error },
      },
    },
    errors: ["sandbox/not-found"],
  },
} as const satisfies Record<string, Route>;

export type EventRoutes = typeof EVENT_ROUTES;
