import { Ports } from "../sandbox/ports/ports.ts";
import type { ApiOptions } from "./create-api.ts";
import { errorMapper, observersOf } from "./create-api.ts";
import { Gate } from "./gate.ts";
import { dialRoute } from "./port-upgrades.ts";
import { terminalRoutes } from "./terminal-upgrades.ts";
import { Upgrades } from "./upgrades.ts";

/** What API v1 serves on connections that leave HTTP; `createApiServer` attaches it to a listener. */
export function createUpgrades(options: ApiOptions): Upgrades {
  const { rightOfWay } = options;
  return new Upgrades({
    gate: new Gate(options.accounts, options.sandboxes),
    routes: [
      dialRoute(new Ports(options.agents)),
      ...terminalRoutes({ sandboxes: options.sandboxes, commands: options.commands, rightOfWay }),
    ],
    fail: errorMapper(options.log),
    observers: observersOf(options),
  });
}
