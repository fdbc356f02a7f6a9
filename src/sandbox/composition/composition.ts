import type { LayerLease } from "../../layers/layer-leases.ts";
import { matchLayerName } from "../../layers/layer-names.ts";
import { PlyboxError } from "../../model/errors.ts";
import { eventOf } from "../../model/event.ts";
import type { LayerName } from "../../model/ids.ts";
import type { LayerManifest } from "../../model/layer.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { exclusively } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import { requireLease } from "../live-sandbox.ts";
import type { ProcessesWish, Recomposition, SandboxComposition } from "../sandbox-composition.ts";
import { requireNoSaves } from "../saves/restoring.ts";
import { requireState } from "../transitions.ts";
import { graftLayer } from "./grafting.ts";
import { release, restartOn } from "./restacking.ts";

/** Changes the layers of this process's sandboxes. */
export class Composition implements SandboxComposition {
  readonly #context: LifecycleContext;

  constructor(context: LifecycleContext) {
    this.#context = context;
  }

  activate(ref: string, layer: string, wish: ProcessesWish = "may-end"): Promise<Recomposition> {
    return this.#change(ref, { verb: "activate a layer", wish }, (standing) =>
      this.#context.layers.acquireWith(standing, layer),
    );
  }

  deactivate(ref: string, layer: string, wish: ProcessesWish = "may-end"): Promise<Recomposition> {
    return this.#change(ref, { verb: "deactivate a layer", wish }, (standing) =>
      this.#context.layers.adopt(without(standing, layer).map(({ digest }) => digest)),
    );
  }

  async #change(
    ref: string,
    { verb, wish }: { readonly verb: string; readonly wish: ProcessesWish },
    acquire: (standing: readonly LayerManifest[]) => Promise<LayerLease>,
  ): Promise<Recomposition> {
    if (this.#context.isStopping()) throw new PlyboxError("daemon/stopping", "the daemon is stopping");
    return await exclusively(this.#context, ref, async (live) => {
      requireState(verb, live.sandbox.state, "running", "stopped", "failed");
      const standing = standingOf(live);
      const lease = await acquire(standing);
      await requireNoSaves(lease, standing);
      try {
        const [added, removed] = [lacking(lease.layers, standing), lacking(standing, lease.layers)];
        const processes = await this.#stand(live, lease, { added, removed, verb, wish });
        const changed = [...added, ...removed].map(({ name }) => name);
        if (changed.length > 0) this.#tell(live, { changed, processes });
        return { sandbox: live.sandbox, changed, processes };
      } finally {
        if (live.lease !== lease) await release(this.#context, live, lease);
      }
    });
  }

  #tell({ sandbox }: LiveSandbox, what: Pick<Recomposition, "changed" | "processes">): void {
    this.#context.events.emit(eventOf(sandbox, { type: "layers.changed", ...what }));
  }

  /** @throws PlyboxError `layer/needs-restart` */
  async #stand(
    live: LiveSandbox,
    lease: LayerLease,
    { added, removed, verb, wish }: Change,
  ): Promise<Recomposition["processes"]> {
    const isRunning = live.sandbox.state.kind === "running";
    if (added.length + removed.length === 0) return isRunning ? "kept" : "none";
    if (isRunning) {
      const reason = await this.#whyNotLive(live, lease, added, removed);
      if (reason === undefined) return "kept";
      if (wish === "keep") throw new PlyboxError("layer/needs-restart", `cannot ${verb} without a restart: ${reason}`);
    }
    await restartOn(this.#context, live, lease);
    return isRunning ? "ended" : "none";
  }

  /** Changes the layers under processes that go on; answers why that cannot be, and undefined when it is done. */
  async #whyNotLive(
    live: LiveSandbox,
    lease: LayerLease,
    [layer, ...others]: readonly LayerManifest[],
    removed: readonly LayerManifest[],
  ): Promise<string | undefined> {
    if (layer === undefined || removed.length > 0) return "its processes may use what would be taken away";
    if (others.length > 0) return `${others.at(-1)?.name} brings along what it was made on`;
    return await graftLayer(this.#context, live, lease, layer);
  }
}

interface Change {
  readonly added: readonly LayerManifest[];
  readonly removed: readonly LayerManifest[];
  readonly verb: string;
  readonly wish: ProcessesWish;
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

/** The layers of one stack that another lacks. */
const lacking = (stack: readonly LayerManifest[], other: readonly LayerManifest[]): readonly LayerManifest[] =>
  stack.filter(({ digest }) => !other.some((each) => each.digest === digest));
