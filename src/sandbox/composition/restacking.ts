import type { LayerLease } from "../../layers/layer-leases.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { endProcesses, startSandbox } from "../lifecycle/stopping.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireLease } from "../live-sandbox.ts";

/**
 * Makes `lease` what a sandbox stands on, which then owns it, by one write to the registry. Answers the lease that it
 * had, which the caller releases.
 * @param names of the layers, bottom first
 */
export function restack(
  { registry }: LifecycleContext,
  live: LiveSandbox,
  lease: LayerLease,
  { layers = lease.layers.map(({ name }) => name), ...changes }: Partial<Sandbox> = {},
): LayerLease {
  const before = requireLease(live);
  const sandbox: Sandbox = { ...live.sandbox, warnings: lease.warnings, ...changes, layers };
  registry.restack({ sandbox, digests: lease.layers.map(({ digest }) => digest) });
  live.sandbox = sandbox;
  live.lease = lease;
  return before;
}

/**
 * Stops a sandbox that runs, puts it on other layers and starts it again. Where it does not start on them it is put back
 * and started on what it had. To be called exclusively.
 * @throws PlyboxError as a stop and a start do; the caller has `lease` still
 */
export async function restartOn(context: LifecycleContext, live: LiveSandbox, lease: LayerLease): Promise<void> {
  const { layers, warnings, lineage } = live.sandbox;
  const isRunning = live.sandbox.state.kind === "running";
  if (isRunning) await endProcesses(context, live, { type: "asked" });
  const before = restack(context, live, lease, changed(live));
  try {
    if (isRunning) await startSandbox(context, live);
  } catch (error) {
    restack(context, live, before, { layers, warnings, lineage });
    await startSandbox(context, live).catch((err) =>
      context.log.warn({ sandbox: live.sandbox.id, err }, "a sandbox does not start on the layers that it had"),
    );
    throw error;
  }
  await release(context, live, before);
}

/** What a sandbox shows is another thing then, whatever it wrote. */
export const changed = ({ sandbox: { lineage } }: LiveSandbox): Partial<Sandbox> => ({
  lineage: lineage && { ...lineage, changed: true },
});

/** Lets go of layers that a sandbox stood on: what cannot be unmounted now is so when nobody uses it. */
export async function release({ log }: LifecycleContext, live: LiveSandbox, lease: LayerLease): Promise<void> {
  await lease.release().catch((err) => log.warn({ sandbox: live.sandbox.id, err }, "layers could not be let go of"));
}
