import type { SandboxName } from "../model/ids.ts";
import type { Sandbox } from "../model/sandbox.ts";
import type { SandboxLifecycle } from "../sandbox/sandbox-lifecycle.ts";
import { json } from "./answers.ts";
import type { UpdateBody } from "./contract.ts";
import type { LifecycleRoutes } from "./lifecycle-routes.ts";
import type { Handlers } from "./route.ts";
import { sandboxView } from "./sandbox-view.ts";

/** A client that goes away changes nothing: what was begun with a sandbox is finished. */
export function lifecycleHandlers(lifecycle: SandboxLifecycle): Handlers<LifecycleRoutes> {
  const shown = async (changed: Promise<Sandbox>): Promise<Response> => json(200, sandboxView(await changed));
  return {
    updateSandbox: ({ params, body }) => shown(lifecycle.update(params.ref, body as Changes)),
    extendSandbox: ({ params, body }) => shown(lifecycle.update(params.ref, body)),
    pauseSandbox: ({ params }) => shown(lifecycle.pause(params.ref)),
    resumeSandbox: ({ params }) => shown(lifecycle.resume(params.ref)),
    stopSandbox: ({ params }) => shown(lifecycle.stop(params.ref)),
    startSandbox: ({ params }) => shown(lifecycle.start(params.ref)),
    restartSandbox: ({ params }) => shown(lifecycle.restart(params.ref)),
  };
}

/** The schema has checked the name. */
type Changes = UpdateBody & { readonly name?: SandboxName | null };
