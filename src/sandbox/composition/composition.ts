import type { LayerLease } from "../../layers/layer-leases.ts";
import { matchLayerName } from "../../layers/layer-names.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { LayerName } from "../../model/ids.ts";
import type { LayerManifest } from "../../model/layer.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { exclusively } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import type { ProcessesWish, Recomposition, SandboxComposition } from "../sandbox-composition.ts";
import { requireState } from "../transitions.ts";
import { release, requireLease, restartOn } from "./restacking.ts";

/** Changes the layers of this process's sandboxes. */
export class Composition implements SandboxComposition {
  readonly #context: LifecycleContext;

  constructor(context: LifecycleContext) {
    this.#context = context;
  }

  activate(ref: string, layer: string, processes: ProcessesWish = "may-end"): Promise<Recomposition> {
    return this.#change(ref, "activate a layer", processes, (standing) =>
      this.#context.layers.acquireWith(standing, layer),
    );
  }

  deactivate(ref: string, layer: string, processes: ProcessesWish = "may-end"): Promise<Recomposition> {
    return this.#change(ref, "deactivate a layer", processes, (standing) =>
      this.#context.layers.adopt(without(standing, layer).map(({ digest }) => digest)),
    );
  }

  async #change(
    ref: string,
    verb: string,
    wish: ProcessesWish,
    acquire: (standing: readonly LayerManifest[]) => Promise<LayerLease>,
  ): Promise<Recomposition> {
    if (this.#context.isStopping()) throw new PlyboxError("daemon/stopping", "the daemon is stopping");
    return await exclusively(this.#context, ref, async (live) => {
      const { kind } = requireState(verb, live.sandbox.state, "running", "stopped", "failed");
      const standing = standingOf(live);
      const lease = await acquire(standing);
      const changed = differing(standing, lease.layers);
      try {
        if (changed.length > 0) {
          if (kind === "running") requireEnd(wish, verb);
          await restartOn(this.#context, live, lease);
        }
      } finally {
        if (live.lease !== lease) await release(this.#context, live, lease);
      }
      const processes = kind !== "running" ? "none" : changed.length > 0 ? "ended" : "kept";
      return { sandbox: live.sandbox, changed, processes };
    });
  }
}

/** What a sandbox stands on, by the names that it has for it, bottom first. */
function standingOf(live: LiveSandbox): readonly LayerManifest[] {
  const names = live.sandbox.layers as readonly LayerName[];
  return requireLease(live).layers.map((layer, index) => ({ ...layer, name: names[index] ?? layer.name }));
}

/** @throws PlyboxError `layer/not-found`, `layer/in-use`, `input/invalid` */
function without(standing: readonly LayerManifest[], layer: string): readonly LayerManifest[] {
  const gone =
    standing.find(({ digest }) => digest === layer) ??
    standing.find(({ name }) => name === matchLayerName(layer, new Set(standing.map((each) => each.name))));
  const left = standing.filter((each) => each !== gone);
  const child = left.find(({ parents }) => gone !== undefined && parents.includes(gone.digest));
  if (child !== undefined) {
    throw new PlyboxError("layer/in-use", `${child.name}, on which the sandbox stands, was made on ${gone?.name}`);
  }
  if (left.length > 0) return left;
  throw new PlyboxError("input/invalid", "a sandbox stands on one layer at least", { field: "layer" });
}

/** Names of the layers that only one of two stacks has. */
function differing(before: readonly LayerManifest[], after: readonly LayerManifest[]): readonly string[] {
  const only = (stack: readonly LayerManifest[], other: readonly LayerManifest[]) =>
    stack.filter(({ digest }) => !other.some((each) => each.digest === digest));
  return [...only(after, before), ...only(before, after)].map(({ name }) => name);
}

/** @throws PlyboxError `layer/needs-restart` */
function requireEnd(wish: ProcessesWish, verb: string): void {
  if (wish === "may-end") return;
  throw new PlyboxError("layer/needs-restart", `cannot ${verb} while the processes of the sandbox are to be kept`);
}
