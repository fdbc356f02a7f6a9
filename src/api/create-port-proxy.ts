import { Ports } from "../sandbox/ports/ports.ts";
import type { ApiOptions } from "./create-api.ts";
import { errorMapper } from "./create-api.ts";
import { Gate } from "./gate.ts";
import { PortProxy } from "./ports/proxy.ts";
import { Visitors } from "./ports/visitors.ts";
import type { Upgrades } from "./upgrades.ts";

/** What serves the ports of sandboxes; `createApiServer` puts it before the API. */
export function createPortProxy(options: ApiOptions, upgrades: Upgrades): PortProxy {
  const { accounts, sandboxes, agents, portAccess, log } = options;
  return new PortProxy({
    ports: new Ports(agents),
    visitors: new Visitors({
      gate: new Gate(accounts, sandboxes),
      sandboxes,
      tokens: accounts.portTokens,
      signer: portAccess.signer,
    }),
    upgrades,
    domain: portAccess.domain,
    fail: errorMapper(log),
  });
}
