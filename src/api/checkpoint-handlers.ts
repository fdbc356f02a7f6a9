import { isUtf8 } from "node:buffer";
import type { Checkpoint } from "../model/checkpoint.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Principal } from "../model/principal.ts";
import type { Sandbox } from "../model/sandbox.ts";
import type { Merge } from "../sandbox/checkpoints/merging.ts";
import type { Restoration } from "../sandbox/checkpoints/restoring.ts";
import type { TakenCheckpoint } from "../sandbox/checkpoints/taking.ts";
import type { SandboxCheckpoints } from "../sandbox/sandbox-checkpoints.ts";
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
  return {
    async createCheckpoint({ params, body }) {
      const { checkpoint, frozen } = await checkpoints.checkpoint(params.ref, body);
      const view: TakenView = { checkpoint: checkpointView(checkpoint), mechanism: MECHANISM, frozen };
      return json(201, view);
    },
    getTimeline({ params }) {
      const { sandbox, checkpoints: points } = checkpoints.timeline(params.ref);
      const { head = null, changed = false } = sandbox.lineage ?? {};
      const view: TimelineView = { sandbox: sandbox.id, head, changed, checkpoints: points.map(checkpointView) };
      return json(200, view);
    },
    async diffSandbox({ params, query, signal }) {
      const { text = false, limit = SHOWN_CHANGES, ...points } = query;
      return json(200, diffView(await checkpoints.compare(params.ref, points, { texts: text, limit, signal })));
    },
    async forkSandbox({ params, body, signal }) {
      const { count = 1, ...wish } = body;
      return json(201, forkView(await checkpoints.fork(params.ref, { count, ...wish }, signal)));
    },
    async restoreSandbox({ params, body }) {
      return json(200, restoredView(await checkpoints.restore(params.ref, body.checkpoint)));
    },
    async mergeSandbox({ params, body, signal }) {
      const { from, paths, onConflict: prefer = "refuse", dryRun = false } = body;
      const wish = { prefer, dryRun, signal, ...(paths !== undefined && { select: paths }) };
      return json(200, mergeView(await checkpoints.merge(params.ref, from, wish)));
    },
    async undoSandbox({ params, body }) {
      return json(200, restoredView(await checkpoints.undo(params.ref, body.steps ?? 1)));
    },
    listCheckpoints({ principal }) {
      const visible = checkpoints.list().filter(({ origin }) => maySee(principal, origin.tenant));
      return json(200, { checkpoints: visible.map(checkpointView) });
    },
    getCheckpoint({ principal, params }) {
      return json(200, checkpointView(find(checkpoints, principal, params.checkpoint)));
    },
    async forkCheckpoint({ principal, params, body, signal }) {
      const checkpoint = find(checkpoints, principal, params.checkpoint);
      const { count = 1, ...wish } = body;
      const sandboxes = await checkpoints.forkPoint(checkpoint.id, { count, ...wish }, signal);
      return json(201, forkView({ checkpoint, frozen: false, sandboxes }));
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

function checkpointView(checkpoint: Checkpoint): CheckpointView {
  const { id, name, state, cause, parent, createdAt, medium, origin } = checkpoint;
  return {
    ...{ id, sandbox: origin.id, tenant: origin.tenant, name },
    state: state === "lost" ? "lost" : "ready",
    ...{ cause, parent, createdAt: createdAt.toISOString(), medium, layers: [...origin.layers] },
  };
}

type Compared = Awaited<ReturnType<SandboxCheckpoints["compare"]>>;

const diffView = ({ from, to, changes, more }: Compared): DiffView => ({
  ...{ from: from.id, to: to?.id ?? null, more },
  changes: changes.map(({ kind, path, aspects, text }) => ({
    ...{ kind, path: pathText(`/${path}`), aspects: [...aspects] },
    ...(text && { text }),
  })),
});

/** @param path a character a byte */
function pathText(path: string): string | { base64: string } {
  const bytes = Buffer.from(path, "latin1");
  return isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString("base64") };
}

interface Forked extends TakenCheckpoint {
  readonly sandboxes: readonly Sandbox[];
}

const forkView = ({ checkpoint, frozen, sandboxes }: Forked): ForkView => ({
  checkpoint: checkpointView(checkpoint),
  sandboxes: sandboxes.map(sandboxView),
  ...{ mechanism: MECHANISM, frozen },
});

const restoredView = (restored: Restoration & { readonly sandbox: Sandbox }): RestoredView => ({
  sandbox: sandboxView(restored.sandbox),
  checkpoint: checkpointView(restored.checkpoint),
  before: restored.before,
  restarted: restored.restarted,
  ...{ mechanism: MECHANISM, frozen: false },
});

const mergeView = ({ report, sandbox, base, ...merge }: Merge & { readonly sandbox: Sandbox }): MergeView => ({
  ...{ outcome: merge.outcome, sandbox: sandboxView(sandbox), base: checkpointView(base) },
  changes: report.changes.map(({ kind, path }) => ({ kind, path: pathText(`/${path}`) })),
  changeCount: report.changeCount,
  conflicts: report.conflicts.map(({ path, reason, ours, theirs }) => ({
    ...{ path: pathText(`/${path}`), reason, ours, theirs },
  })),
  conflictCount: report.conflictCount,
  ...{ before: merge.before, restarted: merge.restarted, mechanism: MECHANISM, frozen: merge.frozen },
});
