import { deferred } from "../../base/deferred.ts";
import type { Checkpoint } from "../../model/checkpoint.ts";
import { parseSandboxName } from "../../model/ids.ts";
import type { Sandbox, SandboxSpec } from "../../model/sandbox.ts";
import type { StartCommand, StartCommandSpec } from "../../model/start-command.ts";
import type { GrownUpper } from "../../snapshots/pools/snapshot-pool.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import type { Base } from "../lifecycle/creation.ts";
import { createSandbox } from "../lifecycle/creation.ts";
import { removeSandbox } from "../lifecycle/removal.ts";
import { requireKept } from "./snapshots.ts";
import type { CheckpointWish, TakenCheckpoint } from "./taking.ts";

export interface ForkWish {
  readonly count: number;
  /** Of the one, or what `-1`, `-2`… is added to. */
  readonly name?: string;
}

/**
 * Makes one sandbox that begins with a checkpoint which is taken for it: the launcher is asked once for both, instead of
 * twice in a row. The checkpoint stays where the sandbox cannot be made.
 * @param take takes it
 * @throws PlyboxError as a create does, and what `take` throws
 */
export async function forkTaken(
  context: LifecycleContext,
  take: (wish: Required<Pick<CheckpointWish, "grow">>) => Promise<TakenCheckpoint>,
  wish: ForkWish,
  signal?: AbortSignal,
): Promise<TakenCheckpoint & { readonly sandboxes: readonly Sandbox[] }> {
  let forking: Promise<readonly Sandbox[]> | undefined;
  const grow = (checkpoint: Checkpoint, kept: Promise<void>): Promise<GrownUpper | undefined> => {
    const wanted = deferred<GrownUpper | undefined>();
    const base: Base = {
      checkpoint,
      grow(grown) {
        wanted.resolve(grown);
        return kept;
      },
    };
    forking = forkCheckpoint(context, base, wish, signal);
    forking.catch(() => wanted.resolve(undefined));
    return wanted.promise;
  };
  let taken: TakenCheckpoint;
  try {
    taken = await take({ grow });
  } catch (error) {
    // It has failed too, and takes away what it has made.
    await forking?.catch(() => {});
    throw error;
  }
  return { ...taken, sandboxes: (await forking) ?? [] };
}

/**
 * Makes sandboxes that begin with what a checkpoint holds: as its sandbox was made, with ids, names and processes of
 * their own. All of them or, where it throws, none.
 * @throws PlyboxError as a create does, `checkpoint/lost`
 */
export async function forkCheckpoint(
  context: LifecycleContext,
  base: Base,
  { count, name }: ForkWish,
  signal?: AbortSignal,
): Promise<readonly Sandbox[]> {
  const { checkpoint } = base;
  requireKept(checkpoint);
  const spec = specOf(checkpoint.origin);
  const names = Array.from({ length: count }, (_, index) =>
    name === undefined ? undefined : parseSandboxName(count === 1 ? name : `${name}-${index + 1}`, "name"),
  );
  // Each is reserved, and refers to the checkpoint, before anything is awaited: so it is not dropped meanwhile.
  const made = names.map((each) =>
    createSandbox(context, { ...spec, ...(each !== undefined && { name: each }) }, signal, base),
  );
  const results = await Promise.allSettled(made);
  const failure = results.find((result) => result.status === "rejected");
  const forks = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  if (failure === undefined) return forks.map(({ sandbox }) => sandbox);
  await Promise.all(forks.map((fork) => removeSandbox(context, fork, { save: false })));
  throw failure.reason;
}

/** What a sandbox was asked for with, but for its name. */
function specOf(origin: Sandbox): SandboxSpec {
  const { tenant, upper, limits, unheld, env, binds, labels, seccomp, allowPrivilegeEscalation } = origin;
  const { name, hostname, lifetimeMs, idleMs, idleCountsCommands, onExpire, resumeOnDemand, start, readyProbe } =
    origin;
  const held = Object.fromEntries(Object.entries(limits).filter(([limit]) => !unheld.some((each) => each === limit)));
  return {
    ...{ tenant, upper, limits: held, env, binds, labels, seccomp, allowPrivilegeEscalation },
    ...{ idleCountsCommands, onExpire, resumeOnDemand },
    // One that was called after its name is called after the fork's.
    ...(hostname !== (name ?? "plybox") && { hostname }),
    ...(lifetimeMs !== null && { lifetimeMs }),
    ...(idleMs !== null && { idleMs }),
    ...(start !== null && { start: startSpecOf(start) }),
    ...(readyProbe !== null && { readyProbe }),
    ...(origin.lineage?.automatic && { checkpoints: origin.lineage.automatic }),
  };
}

function startSpecOf({ status, restarts, streak, lastEnd, ...spec }: StartCommand): StartCommandSpec {
  return spec;
}
