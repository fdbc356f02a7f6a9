import { CHECKPOINT_BOUNDS } from "../model/checkpoint.ts";
import { PlyboxError } from "../model/errors.ts";
import type { SandboxName } from "../model/ids.ts";
import type { Principal } from "../model/principal.ts";
import type { SandboxSpec } from "../model/sandbox.ts";
import { TENANT_SECCOMP_PROFILES } from "../model/seccomp.ts";
import type { SandboxLifecycle } from "../sandbox/sandbox-lifecycle.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import type { SandboxQuery } from "../sandbox/select-sandboxes.ts";
import { selectSandboxes } from "../sandbox/select-sandboxes.ts";
import { json, noContent } from "./answers.ts";
import type { CreateSandboxBody, ListQuery } from "./contract.ts";
import { maySee } from "./gate.ts";
import type { Handlers } from "./route.ts";
import type { SandboxRoutes } from "./routes.ts";
import { sandboxView } from "./sandbox-view.ts";
import { untilReady } from "./until-ready.ts";

const PAGE_LIMIT = 500;

export function sandboxHandlers(sandboxes: Sandboxes, lifecycle: SandboxLifecycle): Handlers<SandboxRoutes> {
  return {
    // A client that goes away before it has the answer gets no sandbox.
    async createSandbox({ principal, body, signal, concerns }) {
      const { wait = body.readyProbe !== undefined, ...spec } = body;
      requireSeccompChoice(principal, body.seccomp);
      const sandbox = await sandboxes.create({ ...sandboxSpec(spec), tenant: principal.tenant }, signal);
      concerns({ sandbox: sandbox.id });
      if (!wait) return json(201, sandboxView(sandbox));
      try {
        await untilReady(lifecycle, sandbox.id, undefined, signal);
        return json(201, sandboxView(sandboxes.get(sandbox.id)));
      } catch (error) {
        await sandboxes.remove(sandbox.id, { save: false }).catch(unlessGone);
        throw error;
      }
    },
    listSandboxes({ principal, query }) {
      const visible = sandboxes.list().filter((sandbox) => maySee(principal, sandbox.tenant));
      const page = selectSandboxes(visible, sandboxQuery(query));
      return json(200, { sandboxes: page.sandboxes.map(sandboxView), next: page.next });
    },
    async getSandbox({ params, query, signal }) {
      if (query.wait === "ready") await untilReady(lifecycle, params.ref, query.waitMs, signal);
      return json(200, sandboxView(sandboxes.get(params.ref)));
    },
    async removeSandbox({ params, query }) {
      await sandboxes.remove(params.ref, query);
      return noContent();
    },
  };
}

/** A wider profile takes away a fence that stands before everybody's sandboxes. */
function requireSeccompChoice(principal: Principal, seccomp: CreateSandboxBody["seccomp"]): void {
  if (seccomp === undefined || principal.isOperator || TENANT_SECCOMP_PROFILES.has(seccomp)) return;
  const message = "only the operator of this daemon may choose another seccomp profile than default and strict";
  throw new PlyboxError("auth/refused", message, { field: "seccomp" });
}

function unlessGone(error: unknown): void {
  if (!(error instanceof PlyboxError) || error.code !== "sandbox/not-found") throw error;
}

/** The schema has checked the name, and knows no `binds`: host paths are never taken from HTTP. */
function sandboxSpec({ checkpoint, keepCheckpoints, ...body }: Omit<CreateSandboxBody, "wait">): SandboxSpec {
  const spec = body as typeof body & { name?: SandboxName };
  if (checkpoint === undefined) {
    if (keepCheckpoints === undefined) return spec;
    throw new PlyboxError("input/invalid", "needs checkpoint", { field: "keepCheckpoints" });
  }
  const { keepByDefault } = CHECKPOINT_BOUNDS;
  return {
    ...spec,
    upper: spec.upper ?? { kind: "tmpfs", snapshots: true },
    checkpoints: { when: checkpoint, keep: keepCheckpoints ?? keepByDefault },
  };
}

function sandboxQuery({ label, state, name, limit = PAGE_LIMIT, after }: ListQuery): SandboxQuery {
  return {
    limit,
    ...(label !== undefined && { labels: label }),
    ...(state !== undefined && { states: state }),
    ...(name !== undefined && { names: name }),
    ...(after !== undefined && { after }),
  };
}
