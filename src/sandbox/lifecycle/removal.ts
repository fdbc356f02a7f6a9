import { rm } from "node:fs/promises";
import { PlyboxError } from "../../model/errors.ts";
import type { EndReason } from "../../model/reason.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import { dropAllOf } from "../checkpoints/dropping.ts";
import { diskPath } from "../launch-plan.ts";
import type { LiveSandbox } from "../live-sandbox.ts";
import type { LifecycleContext } from "./context.ts";
import { enter, NO_LAYERS, planFor } from "./context.ts";
import { stopSandbox } from "./stopping.ts";

const ASKED: EndReason = { type: "asked" };

export interface RemovalOptions {
  readonly reason?: EndReason;
  /** Whether what it wrote goes to object storage first, where that is to hold it; true by default. */
  readonly save?: boolean;
}

/**
 * Ends a sandbox and removes everything of it that is here. Concurrent calls share one removal.
 * @throws PlyboxError `remote/…` where it could not be saved; it has been stopped then
 */
export async function removeSandbox(
  context: LifecycleContext,
  live: LiveSandbox,
  { reason = ASKED, save = true }: RemovalOptions = {},
): Promise<void> {
  if (live.sandbox.state.kind === "creating") {
    throw new PlyboxError("sandbox/wrong-state", "cannot remove a sandbox that is being created");
  }
  live.removal ??= context.lock
    .run(live.sandbox.id, async () => {
      if (save && context.saves !== undefined) await saveFirst(context, live, reason);
      await destroy(context, live, reason);
    })
    .finally(() => {
      live.removal = undefined;
    });
  await live.removal;
}

async function saveFirst(context: LifecycleContext, live: LiveSandbox, reason: EndReason): Promise<void> {
  const { kind } = live.sandbox.state;
  // What is destroyed was saved before it was, or was not to be; of what is lost there is nothing.
  if (kind !== "destroyed" && kind !== "lost") await stopSandbox(context, live, reason);
}

/** Removes everything of a sandbox, in whatever state it was left. */
export async function destroy(context: LifecycleContext, live: LiveSandbox, reason: EndReason): Promise<void> {
  // From here on it is gone for a daemon that comes back, which finishes the work.
  if (live.sandbox.state.kind !== "destroyed") enter(context, live, { kind: "destroyed", reason });
  live.closeLink();
  if (live.running === undefined) await context.backend.discard(planFor(context, live.sandbox, NO_LAYERS));
  else await live.running[Symbol.asyncDispose]();
  await removeUpper(context, live.sandbox);
  await forget(context, live);
}

/** Removes what a sandbox wrote, and what was kept of it for itself alone. */
export async function removeUpper(context: LifecycleContext, sandbox: Sandbox): Promise<void> {
  await removeDisk(context, sandbox);
  await dropAllOf(context, sandbox.id);
}

export async function removeDisk({ places }: LifecycleContext, sandbox: Sandbox): Promise<void> {
  const path = diskPath(sandbox, places);
  if (path !== undefined) await rm(path, { recursive: true, force: true });
}

/** Gives back what a sandbox has of this process: its layers, its place in the registry, its name and its ids. */
export async function forget({ registry, live: table, ids }: LifecycleContext, live: LiveSandbox): Promise<void> {
  const { id, idBase } = live.sandbox;
  live.closeLink();
  await live.lease?.release();
  registry.delete(id);
  table.delete(live);
  ids.giveBack(idBase);
}
