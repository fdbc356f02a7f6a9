import type { MetricsRoutes } from "./metrics-routes.ts";
import type { Handlers } from "./route.ts";

/** What tells the daemon's metrics. */
export interface MetricsText {
  readonly contentType: string;
  text(): Promise<string>;
}

export function metricsHandlers(metrics: MetricsText): Handlers<MetricsRoutes> {
  return {
    async getMetrics() {
      const headers = { "content-type": metrics.contentType };
      return new Response(await metrics.text(), { status: 200, headers });
    },
  };
}
