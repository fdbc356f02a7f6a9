import type { UsageSample } from "../model/usage.ts";
import type { Agents } from "../sandbox/agents.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import { requireState } from "../sandbox/transitions.ts";
import type { UsageSampler } from "../sandbox/usage/usage-sampler.ts";
import { usageSeries } from "../sandbox/usage/usage-sampler.ts";
import { acceptsEvents, json } from "./answers.ts";
import type { UsageView } from "./contract.ts";
import { maySee } from "./gate.ts";
import type { Call, Handlers } from "./route.ts";
import type { ServerSentEventOptions } from "./server-sent-events.ts";
import { serverSentEvents } from "./server-sent-events.ts";
import type { UsageRoutes } from "./usage-routes.ts";

export interface UsageHandlerOptions extends ServerSentEventOptions {
  readonly sampler: UsageSampler;
  readonly agents: Agents;
  readonly sandboxes: Pick<Sandboxes, "get">;
}

const DEFAULT_INTERVAL_MS = 1000;

export function usageHandlers({ sampler, agents, sandboxes, ...options }: UsageHandlerOptions): Handlers<UsageRoutes> {
  /** `sample` is called once before anything is answered, so that a wrong reference is an ordinary error. */
  const series = (
    intervalMs: number = DEFAULT_INTERVAL_MS,
    sample: () => readonly UsageSample[] | Promise<readonly UsageSample[]>,
    view: (samples: readonly UsageSample[]) => object,
  ): Response =>
    serverSentEvents(async function* (signal) {
      for await (const samples of usageSeries(sample, intervalMs, signal)) {
        yield { event: "usage", data: view(samples) };
      }
    }, options);

  const seenBy = async ({ principal }: Pick<Call<UsageRoutes["listUsage"]>, "principal">) =>
    (await sampler.all()).filter(({ tenant }) => maySee(principal, tenant));

  return {
    async listUsage({ principal, query, incoming }) {
      const view = (samples: readonly UsageSample[]) => ({ usage: samples.map(usageView) });
      const sample = () => seenBy({ principal });
      return acceptsEvents(incoming) ? series(query.intervalMs, sample, view) : json(200, view(await sample()));
    },

    getUsage({ params, query, incoming }) {
      const first = sampler.one(params.ref);
      if (!acceptsEvents(incoming)) return json(200, usageView(first));
      // From here on the id: a name may be another sandbox's by the next time.
      const sample = () => [sampler.one(first.sandbox)];
      return series(query.intervalMs, sample, ([only]) => (only === undefined ? {} : usageView(only)));
    },

    async listProcesses({ params }) {
      // To look at a sandbox that sleeps is no reason to wake it.
      requireState("list processes", sandboxes.get(params.ref).state, "running");
      const { agent } = await agents.agent(params.ref, "list processes");
      const { processes, total } = await agent.processes();
      return json(200, { processes, total });
    },
  };
}

const usageView = ({ tenant: _tenant, at, upperMeasuredAt, ...rest }: UsageSample): UsageView => ({
  ...rest,
  at: at.toISOString(),
  upperMeasuredAt: upperMeasuredAt?.toISOString() ?? null,
});
