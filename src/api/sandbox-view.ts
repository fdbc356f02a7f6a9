import type { Sandbox } from "../model/sandbox.ts";
import { heldLimits } from "../model/sandbox.ts";
import type { SandboxView } from "./contract.ts";

/** What the API shows: no host paths, no id range. */
export function sandboxView(sandbox: Sandbox): SandboxView {
  const { id, tenant, name, incarnation, layers, upper, env, cwd, user, hostname } = sandbox;
  const { labels, lifetimeMs, idleMs, idleCountsCommands, onExpire, resumeOnDemand, ready } = sandbox;
  const { allowPrivilegeEscalation } = sandbox;
  return {
    id,
    tenant,
    name,
    incarnation,
    state: stateView(sandbox.state),
    layers: [...layers],
    warnings: [...sandbox.warnings],
    upper,
    lineage: lineageView(sandbox.lineage),
    limits: heldLimits(sandbox),
    env,
    cwd,
    user,
    hostname,
    seccomp: sandbox.seccomp as SandboxView["seccomp"],
    allowPrivilegeEscalation,
    createdAt: sandbox.createdAt.toISOString(),
    labels,
    lifetimeMs,
    expiresAt: sandbox.expiresAt?.toISOString() ?? null,
    idleMs,
    idleCountsCommands,
    onExpire,
    resumeOnDemand,
    start: startView(sandbox.start),
    readyProbe: probeView(sandbox.readyProbe),
    ready,
  };
}

function lineageView(lineage: Sandbox["lineage"]): SandboxView["lineage"] {
  if (lineage === null) return null;
  const { head, changed, forkedFrom, automatic } = lineage;
  return { head, changed, forkedFrom, checkpoint: automatic?.when ?? null, keepCheckpoints: automatic?.keep ?? null };
}

/** The host's pid is shown; that it needs a start time to be a name is this process's affair. */
function stateView(state: Sandbox["state"]): SandboxView["state"] {
  if (!("startTime" in state)) return state;
  const { startTime: _, ...shown } = state;
  return shown;
}

function startView(start: Sandbox["start"]): SandboxView["start"] {
  if (start === null) return null;
  const { streak: _, command, ...shown } = start;
  return { ...shown, command: typeof command === "string" ? command : [...command] };
}

function probeView(probe: Sandbox["readyProbe"]): SandboxView["readyProbe"] {
  if (probe?.kind !== "exec") return probe;
  return { ...probe, command: typeof probe.command === "string" ? probe.command : [...probe.command] };
}
