import type { Route } from "./route.ts";

export const METRICS_ROUTES = {
  getMetrics: {
    method: "GET",
    path: "/metrics",
    summary: "Metrics of the daemon for Prometheus",
    answers: { 200: { description: "In Prometheus' text format", text: "text/plain; version=0.0.4; charset=utf-8" } },
    errors: [],
  },
} as const satisfies Record<string, Route>;

export type MetricsRoutes = typeof METRICS_ROUTES;
