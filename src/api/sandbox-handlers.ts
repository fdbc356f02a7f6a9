import type { SandboxName } from "../model/ids.ts";
import type { Sandbox, SandboxSpec } from "../model/sandbox.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import { json, noContent } from "./answers.ts";
import type { CreateSandboxBody, SandboxView } from "./contract.ts";
import { maySee } from "./gate.ts";
import type { Handlers } from "./route.ts";
import type { SandboxRoutes } from "./routes.ts";

export function sandboxHandlers(sandboxes: Sandboxes): Handlers<SandboxRoutes> {
  return {
    // A client that goes away before it has the answer gets no sandbox.
    async createSandbox({ principal, body, signal, concerns }) {
      const sandbox = await sandboxes.create({ ...sandboxSpec(body), tenant: principal.tenant }, signal);
      concerns(sandbox.id);
      return json(201, sandboxView(sandbox));
    },
    listSandboxes({ principal }) {
      const visible = sandboxes.list().filter((sandbox) => maySee(principal, sandbox.tenant));
      return json(200, { sandboxes: visible.map(sandboxView) });
    },
    getSandbox: ({ params }) => json(200, sandboxView(sandboxes.get(params.ref))),
    async removeSandbox({ params }) {
      await sandboxes.remove(params.ref);
      return noContent();
    },
  };
}

/** The schema has checked the name, and knows no `binds`: host paths are never taken from HTTP. */
const sandboxSpec = (body: CreateSandboxBody): SandboxSpec => body as CreateSandboxBody & { name?: SandboxName };

/** What the API shows: no host paths, no id range. */
function sandboxView(sandbox: Sandbox): SandboxView {
  const { id, tenant, name, incarnation, layers, upper, limits, env, hostname } = sandbox;
  return {
    id,
    tenant,
    name,
    incarnation,
    state: stateView(sandbox.state),
    layers: [...layers],
    upper,
    limits,
    env,
    hostname,
    createdAt: sandbox.createdAt.toISOString(),
  };
}

const stateView = (state: Sandbox["state"]): SandboxView["state"] =>
  state.kind === "running" ? { kind: "running", pid: state.pid } : state;
