import { PlyboxError } from "../../model/errors.ts";
import type { Labels, Sandbox } from "../../model/sandbox.ts";
import { LABEL_BOUNDS } from "../../model/sandbox.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import type { SandboxChanges } from "../sandbox-lifecycle.ts";
import type { LifecycleContext } from "./context.ts";
import { save } from "./context.ts";

/** Changes what a sandbox is called and how long it lives. All of it or, where it throws, nothing. */
export function changeSandbox(context: LifecycleContext, live: LiveSandbox, changes: SandboxChanges): void {
  const { name, labels, lifetimeMs, ...others } = changes;
  const { sandbox } = live;
  const next: Sandbox = {
    ...sandbox,
    ...others,
    ...(labels !== undefined && { labels: mergeLabels(sandbox.labels, labels) }),
    ...(lifetimeMs !== undefined && {
      lifetimeMs,
      expiresAt: lifetimeMs === null ? null : new Date(Date.now() + lifetimeMs),
    }),
  };
  if (name === undefined || name === sandbox.name) {
    save(context, live, next);
    return;
  }
  if (name !== null) context.live.requireFree(name, sandbox.tenant);
  save(context, live, { ...next, name });
  context.live.rename(live, sandbox.name);
}

function mergeLabels(labels: Labels, changes: Readonly<Record<string, string | null>>): Labels {
  const merged = Object.entries({ ...labels, ...changes }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  if (merged.length > LABEL_BOUNDS.count) {
    throw new PlyboxError("input/invalid", `labels must be at most ${LABEL_BOUNDS.count}`, { field: "labels" });
  }
  return Object.fromEntries(merged);
}
