import { isUtf8 } from "node:buffer";
import type { Checkpoint } from "../model/checkpoint.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Principal } from "../model/principal.ts";
import type { Sandbox } from "../model/sandbox.ts";
import type { Merge } from "../sandbox/checkpoints/merging.ts";
import type { TakenCheckpoint } from "../sandbox/checkpoints/taking.ts";
import type { Forked, Packed, Restored, SandboxCheckpoints } from "../sandbox/sandbox-checkpoints.ts";
import { json, noContent } from "./answers.ts";
import type { CheckpointRoutes } from "./checkpoint-routes.ts";
import type {
  CheckpointView,
  DiffView,
  ForkView,
  MergeView,
  RestoredView,
  TakenView,
  TimelineView,
} from "./contract.ts";
import { maySee } from "./gate.ts";
import type { Handlers } from "./route.ts";
import { sandboxView } from "./sandbox-view.ts";

const MECHANISM = "copy-on-write";
const SHOWN_CHANGES = 1000;

/** A client that goes away changes nothing, but that forks which nobody learns of are not made. */
export function checkpointHandlers(checkpoints: SandboxCheckpoints): Handlers<CheckpointRoutes> {
  const shown: Shown = (checkpoint) => checkpointView(checkpoint, checkpoints.packed(checkpoint));
  return {
    async createCheckpoint({ params, body }) {
      const { checkpoint, frozen } = await checkpoints.checkpoint(params.ref, body);
      const view: TakenView = { checkpoint: shown(checkpoint), mechanism: MECHANISM, frozen };
      return json(201, view);
    },
    getTimeline({ params }) {
      const { sandbox, checkpoints: points } = checkpoints.timeline(params.ref);
      const { head = null, changed = false } = sandbox.lineage ?? {};
      const view: TimelineView = { sandbox: sandbox.id, head, changed, checkpoints: points.map(shown) };
      return json(200, view);
    },
    async diffSandbox({ params, query, signal }) {
      const { text = false, limit = SHOWN_CHANGES, ...points } = query;
      return json(200, diffView(await checkpoints.compare(params.ref, points, { texts: text, limit, signal })));
    },
    async forkSandbox({ params, body, signal }) {
      const { count = 1, ...wish } = body;
      return json(201, forkView(await checkpoints.fork(params.ref, { count, ...wish }, signal), shown));
    },
    async restoreSandbox({ params, body }) {
      return json(200, restoredView(await checkpoints.restore(params.ref, body.checkpoint), shown));
    },
    async mergeSandbox({ params, body, signal, concerns }) {
      const { from, paths, onConflict: prefer = "refuse", dryRun = false } = body;
      concerns({ from });
      const wish = { prefer, dryRun, signal, ...(paths !== undefined && { select: paths }) };
      return json(200, mergeView(await checkpoints.merge(params.ref, from, wish), shown));
    },
    async undoSandbox({ params, body }) {
      return json(200, restoredView(await checkpoints.undo(params.ref, body.steps ?? 1), shown));
    },
    listCheckpoints({ principal }) {
      const visible = checkpoints.list().filter(({ origin }) => maySee(principal, origin.tenant));
      return json(200, { checkpoints: visible.map(shown) });
    },
    getCheckpoint({ principal, params }) {
      return json(200, shown(find(checkpoints, principal, params.checkpoint)));
    },
    async packCheckpoint({ principal, params, body, signal }) {
      const { id } = find(checkpoints, principal, params.checkpoint);
      return json(200, shown(await checkpoints.pack(id, { whole: body.whole ?? false, signal })));
    },
    async forkCheckpoint({ principal, params, body, signal }) {
      const checkpoint = find(checkpoints, principal, params.checkpoint);
      const { count = 1, ...wish } = body;
      const forked = await checkpoints.forkPoint(checkpoint.id, { count, ...wish }, signal);
      return json(201, forkView({ checkpoint, frozen: false, ...forked }, shown));
    },
    async removeCheckpoint({ principal, params }) {
      await checkpoints.drop(find(checkpoints, principal, params.checkpoint).id);
      return noContent();
    },
  };
}

/** What is another tenant's is answered like what does not exist. */
function find(checkpoints: SandboxCheckpoints, principal: Principal, id: string): Checkpoint {
  const checkpoint = checkpoints.find(id);
  if (maySee(principal, checkpoint.origin.tenant)) return checkpoint;
  throw new PlyboxError("checkpoint/not-found", `there is no checkpoint ${JSON.stringify(id)}`);
}

type Shown = (checkpoint: Checkpoint) => CheckpointView;

function checkpointView(checkpoint: Checkpoint, packed: Packed | null): CheckpointView {
  const { id, name, state, cause, parent, createdAt, medium, origin } = checkpoint;
  return {
    id,
    sandbox: origin.id,
    tenant: origin.tenant,
    name,
    state: state === "lost" ? "lost" : "ready",
    cause,
    parent,
    createdAt: createdAt.toISOString(),
    medium,
    layers: [...origin.layers],
    packed,
  };
}

type Compared = Awaited<ReturnType<SandboxCheckpoints["compare"]>>;

const diffView = ({ from, to, changes, more, unpacked }: Compared): DiffView => ({
  from: from.id,
  to: to?.id ?? null,
  more,
  unpacked,
  changes: changes.map(({ kind, path, aspects, text }) => ({
    kind,
    path: pathText(`/${path}`),
    aspects: [...aspects],
    ...(text && { text }),
  })),
});

/** @param path a character a byte */
function pathText(path: string): string | { base64: string } {
  const bytes = Buffer.from(path, "latin1");
  return isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString("base64") };
}

const forkView = ({ checkpoint, frozen, sandboxes, unpacked }: TakenCheckpoint & Forked, shown: Shown): ForkView => ({
  checkpoint: shown(checkpoint),
  sandboxes: sandboxes.map(sandboxView),
  mechanism: MECHANISM,
  frozen,
  unpacked,
});

const restoredView = (restored: Restored, shown: Shown): RestoredView => ({
  sandbox: sandboxView(restored.sandbox),
  checkpoint: shown(restored.checkpoint),
  before: restored.before,
  restarted: restored.restarted,
  mechanism: MECHANISM,
  frozen: false,
  unpacked: restored.unpacked,
});

type Merged = Merge & { readonly sandbox: Sandbox };

const mergeView = ({ report, sandbox, base, ...merge }: Merged, shown: Shown): MergeView => ({
  outcome: merge.outcome,
  sandbox: sandboxView(sandbox),
  base: shown(base),
  changes: report.changes.map(({ kind, path }) => ({ kind, path: pathText(`/${path}`) })),
  changeCount: report.changeCount,
  conflicts: report.conflicts.map(({ path, reason, ours, theirs }) => ({
    path: pathText(`/${path}`),
    reason,
    ours,
    theirs,
  })),
  conflictCount: report.conflictCount,
  before: merge.before,
  restarted: merge.restarted,
  mechanism: MECHANISM,
  frozen: merge.frozen,
  unpacked: merge.unpacked,
});
