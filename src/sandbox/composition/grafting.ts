import { join } from "node:path";
import type { LayerLease } from "../../layers/layer-leases.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { Graft, Grafting } from "../../model/graft.ts";
import type { LayerManifest } from "../../model/layer.ts";
import { upperPath } from "../launch-plan.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { planFor, save } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireLease } from "../live-sandbox.ts";
import { changed, release, restack } from "./restacking.ts";
import { surveyLayer } from "./surveying.ts";

/** What the sandbox's own mounts cover, whatever its plan says. */
const PSEUDO_FILES = ["/proc", "/sys", "/dev"];

const WORK_NAME_LENGTH = 16;

/**
 * Adds one layer to a sandbox that runs, and keeps its processes: they stand still for the moment. Answers why that cannot
 * be, when nothing has changed; undefined when it is done. To be called exclusively.
 * @param lease of what the sandbox is to stand on
 */
export async function graftLayer(
  context: LifecycleContext,
  live: LiveSandbox,
  lease: LayerLease,
  layer: LayerManifest,
): Promise<string | undefined> {
  const { running } = live;
  const isMounted = lease.mounts.every(({ idmap }) => idmap);
  if (running === undefined || !context.backend.capabilities.liveLayers || !isMounted) {
    return "here nothing can be mounted in a sandbox that runs";
  }
  if (layer.binds.length > 0) return `${layer.name} shows what is the machine's`;
  await running.pause();
  try {
    const survey = await surveyLayer(placeOf(context, live, lease, layer));
    if ("obstacle" in survey) return `${layer.name} has ${survey.obstacle}, which changes what is there`;
    return await attach(context, live, lease, { layer: layer.digest, points: survey.points });
  } finally {
    await running.resume();
  }
}

/**
 * Finishes what an earlier daemon may have begun; what is mounted is left as it is. The sandbox stands on the layer from its
 * next start on in any case.
 */
export async function finishGraft(context: LifecycleContext, live: LiveSandbox): Promise<void> {
  const { running, sandbox } = live;
  const { grafting } = sandbox;
  if (grafting === null || running === undefined) return;
  await running.pause();
  try {
    await running.graft(graftOf(context, live, requireLease(live), grafting));
  } catch (err) {
    context.log.warn({ sandbox: sandbox.id, err }, "a layer is not shown before the sandbox's next start");
  }
  save(context, live, { ...live.sandbox, grafting: null });
}

/** Written down before it is done, so that a daemon that comes back finishes it. */
async function attach(
  context: LifecycleContext,
  live: LiveSandbox,
  lease: LayerLease,
  grafting: Grafting,
): Promise<string | undefined> {
  const { layers, warnings, lineage } = live.sandbox;
  const before = restack(context, live, lease, { ...changed(live), grafting });
  try {
    if (grafting.points.length > 0) await live.running?.graft(graftOf(context, live, lease, grafting));
  } catch (error) {
    restack(context, live, before, { layers, warnings, lineage, grafting: null });
    if (!(error instanceof PlyboxError)) throw error;
    context.log.warn({ sandbox: live.sandbox.id, err: error }, "a layer cannot be shown to processes that run");
    return error.message;
  }
  save(context, live, { ...live.sandbox, grafting: null });
  await release(context, live, before);
  return undefined;
}

function placeOf(context: LifecycleContext, { sandbox }: LiveSandbox, lease: LayerLease, { digest }: LayerManifest) {
  const plan = planFor(context, sandbox, lease);
  const index = lease.layers.findIndex((layer) => layer.digest === digest);
  const paths = lease.mounts.map(({ path }) => path);
  return {
    below: paths.slice(0, index),
    layer: paths[index] ?? "",
    above: paths.slice(index + 1),
    upper: join(upperPath(sandbox, context.places), "upper"),
    covered: [...PSEUDO_FILES, ...plan.binds.map(({ target }) => target), ...plan.files.map(({ path }) => path)],
  };
}

function graftOf(
  context: LifecycleContext,
  { sandbox }: LiveSandbox,
  lease: LayerLease,
  { layer, points }: Grafting,
): Graft {
  const mount = lease.mounts[lease.layers.findIndex(({ digest }) => digest === layer)];
  if (mount === undefined) throw new PlyboxError("internal", `${sandbox.id} does not stand on ${layer}`);
  const { ids } = planFor(context, sandbox, lease);
  return {
    layer: mount,
    upper: upperPath(sandbox, context.places),
    work: layer.slice(0, WORK_NAME_LENGTH),
    ...{ ids, setuid: sandbox.allowPrivilegeEscalation, points },
  };
}
