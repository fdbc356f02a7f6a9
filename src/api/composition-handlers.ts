import type { Recomposition, SandboxComposition } from "../sandbox/sandbox-composition.ts";
import { json } from "./answers.ts";
import type { CompositionRoutes } from "./composition-routes.ts";
import type { RecomposedView } from "./contract.ts";
import type { Handlers } from "./route.ts";
import { sandboxView } from "./sandbox-view.ts";

/** A client that goes away changes nothing: what was begun with a sandbox is finished. */
export function compositionHandlers(composition: SandboxComposition): Handlers<CompositionRoutes> {
  return {
    async activateLayer({ params, body }) {
      return json(200, recomposedView(await composition.activate(params.ref, body.layer, body.processes)));
    },
    async deactivateLayer({ params, query }) {
      return json(200, recomposedView(await composition.deactivate(params.ref, params.layer, query.processes)));
    },
  };
}

const recomposedView = ({ sandbox, changed, processes }: Recomposition): RecomposedView => ({
  sandbox: sandboxView(sandbox),
  changed: [...changed],
  processes,
});
