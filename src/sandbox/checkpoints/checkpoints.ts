import type { Checkpoint } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { EventBody } from "../../model/event.ts";
import { eventOf } from "../../model/event.ts";
import type { ExecRequest } from "../../model/exec.ts";
import type { CheckpointId, SandboxId } from "../../model/ids.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { LifecycleContext } from "../lifecycle/context.ts";
import { exclusively, save } from "../lifecycle/context.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import type { Forked, Packed, Restored, SandboxCheckpoints, Timeline } from "../sandbox-checkpoints.ts";
import { requireState } from "../transitions.ts";
import type { Capture, CaptureWish } from "./capturing.ts";
import { captureLayer } from "./capturing.ts";
import type { Comparison, ComparisonWish } from "./comparing.ts";
import { comparePoints } from "./comparing.ts";
import { dropCheckpoints } from "./dropping.ts";
import type { ForkWish } from "./forking.ts";
import { forkCheckpoint, forkTaken } from "./forking.ts";
import { mergeFrom, sourceOf } from "./merge-source.ts";
import type { Merge, MergeWish } from "./merging.ts";
import type { PackWish } from "./packing.ts";
import { packCheckpoint } from "./packing.ts";
import { pointBefore, requireRestorable, restoreSandbox } from "./restoring.ts";
import { findPoint, pointsOf, requireCheckpointed } from "./snapshots.ts";
import type { CheckpointWish, TakenCheckpoint } from "./taking.ts";
import { takeCheckpoint } from "./taking.ts";
import { inPool } from "./unpacking.ts";

const FOR_A_FORK = { type: "fork" } as const;

/** Of a command, what a time line shows. */
const SHOWN_COMMAND = 200;

/** The time lines of this process's sandboxes. */
export class Checkpoints implements SandboxCheckpoints {
  readonly #context: LifecycleContext;

  constructor(context: LifecycleContext) {
    this.#context = context;
  }

  checkpoint(ref: string, wish: Pick<CheckpointWish, "name" | "freeze"> = {}): Promise<TakenCheckpoint> {
    return this.#change(ref, async (live) =>
      this.#told(live, await takeCheckpoint(this.#context, live, { freeze: true, ...wish, cause: { type: "asked" } })),
    );
  }

  timeline(ref: string): Timeline {
    const { sandbox } = this.#context.live.find(ref);
    const { table } = requireCheckpointed(this.#context, sandbox);
    return { sandbox, checkpoints: pointsOf(table, sandbox) };
  }

  list(): readonly Checkpoint[] {
    const all = this.#context.snapshots?.table.all() ?? [];
    return all.filter(({ state }) => state === "ready" || state === "lost");
  }

  find(point: string): Checkpoint {
    const { snapshots } = this.#context;
    if (snapshots !== undefined) return findPoint(snapshots.table, point);
    throw new PlyboxError("checkpoint/not-found", "there are no checkpoints here");
  }

  async drop(id: CheckpointId): Promise<void> {
    const origin = await this.#drop(id);
    this.#tell(origin, { type: "checkpoint.removed", checkpoint: id });
  }

  packed({ id, medium }: Checkpoint): Packed | null {
    const { snapshots } = this.#context;
    const point = snapshots?.packed[medium].get(id);
    if (snapshots === undefined || point === undefined) return null;
    return { bytes: point.bytes, whole: point.base === null, inPool: snapshots.pools[medium].has(id) };
  }

  async pack(id: CheckpointId, wish: PackWish): Promise<Checkpoint> {
    this.#requireGoing();
    await packCheckpoint(this.#context, this.find(id), wish);
    return this.find(id);
  }

  async fork(
    ref: string,
    { from, freeze = true, ...wish }: ForkWish & { readonly from?: string; readonly freeze?: boolean },
    signal?: AbortSignal,
  ) {
    this.#requireGoing();
    const take = (also: Pick<CheckpointWish, "grow"> = {}): Promise<TakenCheckpoint> =>
      this.#change(ref, async (live) =>
        this.#told(live, await takeCheckpoint(this.#context, live, { freeze, cause: FOR_A_FORK, ...also })),
      );
    // Several are made beside one another, and commands that stand still for the checkpoint would wait for all of them.
    if (from === undefined && wish.count === 1) {
      const forked = await forkTaken(this.#context, take, wish, signal);
      this.#tellOfForks(forked.checkpoint, forked.sandboxes);
      return { ...forked, unpacked: false };
    }
    const taken = from === undefined ? await take() : this.#pointOf(ref, from);
    return { ...taken, ...(await this.#fork(taken.checkpoint, wish, signal)) };
  }

  async forkPoint(id: CheckpointId, wish: ForkWish, signal?: AbortSignal): Promise<Forked> {
    this.#requireGoing();
    return await this.#fork(this.find(id), wish, signal);
  }

  async compare(
    ref: string,
    { from, to }: { readonly from: string; readonly to?: string },
    wish: ComparisonWish,
  ): Promise<Comparison & { readonly from: Checkpoint; readonly to: Checkpoint | null }> {
    this.#requireGoing();
    const live = this.#context.live.find(ref);
    const before = this.#pointOf(ref, from).checkpoint;
    if (to !== undefined) {
      const after = this.#pointOf(ref, to).checkpoint;
      return { from: before, to: after, ...(await comparePoints(this.#context, live, [before, after], wish)) };
    }
    // What is read must not change meanwhile.
    const now = await this.#change(ref, (each) =>
      takeCheckpoint(this.#context, each, { freeze: true, cause: FOR_A_FORK, passing: true }),
    );
    try {
      const comparison = await comparePoints(this.#context, live, [before, now.checkpoint], wish);
      return { from: before, to: null, ...comparison };
    } finally {
      await this.#drop(now.checkpoint.id, { passing: true });
    }
  }

  restore(ref: string, point: string): Promise<Restored> {
    return this.#restore(ref, (live) => {
      const { table } = requireCheckpointed(this.#context, live.sandbox);
      return findPoint(table, point, live.sandbox);
    });
  }

  undo(ref: string, steps: number): Promise<Restored> {
    return this.#restore(ref, (live) => pointBefore(this.#context, live, steps));
  }

  async merge(ref: string, from: string, wish: MergeWish): Promise<Merge & { readonly sandbox: Sandbox }> {
    this.#requireGoing();
    const { lock, live } = this.#context;
    const { id } = live.find(ref).sandbox;
    const source = sourceOf(this.#context, live.find(id).sandbox, from);
    // Neither side changes meanwhile; in one order for all, so that no two merges wait for each other.
    const [first, second] = [id, source.sandbox].sort() as [SandboxId, SandboxId];
    const both = () => mergeFrom(this.#context, live.find(id), source, wish);
    const merge = await lock.run(first, () => (first === second ? both() : lock.run(second, both)));
    const { sandbox } = live.find(id);
    if (merge.outcome === "merged") this.#tell(sandbox, { type: "checkpoint.merged", from, before: merge.before });
    return { ...merge, sandbox };
  }

  async captureLayer(ref: string, wish: CaptureWish): Promise<Capture> {
    this.#requireGoing();
    return await captureLayer(this.#context, ref, wish);
  }

  /** What goes before a command that is about to change what its sandbox holds. */
  async beforeExec(live: LiveSandbox, { command }: ExecRequest): Promise<void> {
    const { lineage } = live.sandbox;
    if (lineage === null) return;
    if (lineage.automatic === null) return this.changed(live);
    const text = typeof command === "string" ? command : command.join(" ");
    const cause = { type: "exec", command: text.slice(0, SHOWN_COMMAND) } as const;
    await this.#context.lock.run(live.sandbox.id, async () => {
      requireState("run a command", live.sandbox.state, "running");
      this.#told(live, await takeCheckpoint(this.#context, live, { cause }));
    });
  }

  /** Notes that a sandbox may hold something else than the point that it was restored to. */
  changed(live: LiveSandbox): void {
    const { sandbox } = live;
    if (sandbox.lineage === null || sandbox.lineage.changed) return;
    save(this.#context, live, { ...sandbox, lineage: { ...sandbox.lineage, changed: true } });
  }

  async #fork(checkpoint: Checkpoint, wish: ForkWish, signal?: AbortSignal): Promise<Forked> {
    const forked = await inPool(this.#context, [checkpoint], async (unpacked) => {
      return { sandboxes: await forkCheckpoint(this.#context, { checkpoint }, wish, signal), unpacked };
    });
    this.#tellOfForks(checkpoint, forked.sandboxes);
    return forked;
  }

  #tellOfForks(checkpoint: Checkpoint, sandboxes: readonly Sandbox[]): void {
    const forks = sandboxes.map(({ id }) => id);
    this.#tell(checkpoint.origin, { type: "checkpoint.forked", checkpoint: checkpoint.id, forks });
  }

  async #drop(id: CheckpointId, options?: { readonly passing: boolean }): Promise<Sandbox> {
    const { origin } = this.find(id);
    const { lock, snapshots } = this.#context;
    await lock.run(origin.id, async () => {
      // Found again behind the waiting, as it is then; from there on nobody begins to read it.
      await snapshots?.table.held.untilFree(id);
      await dropCheckpoints(this.#context, [this.find(id)], options);
    });
    return origin;
  }

  /** Those that are asked for; what is taken in passing is gone before anybody could look. */
  #told({ sandbox }: LiveSandbox, taken: TakenCheckpoint): TakenCheckpoint {
    const { id, name, cause } = taken.checkpoint;
    this.#tell(sandbox, { type: "checkpoint.taken", checkpoint: id, checkpointName: name, cause: cause.type });
    return taken;
  }

  #tell(sandbox: Sandbox, body: EventBody): void {
    this.#context.events.emit(eventOf(sandbox, body));
  }

  #pointOf(ref: string, from: string): TakenCheckpoint {
    const { sandbox } = this.#context.live.find(ref);
    const { table } = requireCheckpointed(this.#context, sandbox);
    return { checkpoint: findPoint(table, from, sandbox), frozen: false };
  }

  #restore(ref: string, pick: (live: LiveSandbox) => Checkpoint): Promise<Restored> {
    return this.#change(ref, async (live) => {
      const checkpoint = pick(live);
      // Nothing is unpacked for a sandbox that cannot be restored.
      requireRestorable(live);
      return await inPool(this.#context, [checkpoint], async (unpacked) => {
        const restoration = await restoreSandbox(this.#context, live, checkpoint);
        const { before } = restoration;
        this.#tell(live.sandbox, { type: "checkpoint.restored", checkpoint: checkpoint.id, before });
        return { ...restoration, sandbox: live.sandbox, unpacked };
      });
    });
  }

  async #change<T>(ref: string, work: (live: LiveSandbox) => Promise<T>): Promise<T> {
    this.#requireGoing();
    return await exclusively(this.#context, ref, work);
  }

  #requireGoing(): void {
    if (this.#context.isStopping()) throw new PlyboxError("daemon/stopping", "the daemon is stopping");
  }
}
