import type { PortToken, PortTokens } from "../access/port-tokens.ts";
import type { UrlSigner } from "../access/signed-urls.ts";
import type { SandboxId } from "../model/ids.ts";
import type { Ports } from "../sandbox/ports/ports.ts";
import { json, noContent } from "./answers.ts";
import type { PortTokenView } from "./contract.ts";
import type { PortRoutes } from "./port-routes.ts";
import { CREDENTIAL_NAME } from "./ports/credentials.ts";
import type { Handlers } from "./route.ts";

export interface PortHandlerOptions {
  readonly ports: Ports;
  readonly tokens: PortTokens;
  readonly signer: UrlSigner;
  readonly domain: string | null;
}

const WAIT_MS = 30_000;
const SAFE_METHODS = ["GET", "HEAD"] as const;

export function portHandlers({ ports, tokens, signer, domain }: PortHandlerOptions): Handlers<PortRoutes> {
  return {
    async listPorts(call) {
      const { ref } = call.params;
      const { wait, timeoutMs = WAIT_MS } = call.query;
      if (wait !== undefined) await ports.waitFor(ref, wait, { timeoutMs, signal: call.signal });
      return json(200, { ports: await ports.list(ref) });
    },
    createPortToken({ params, body }) {
      const { token, secret } = tokens.create({ sandbox: idOf(params), ...body });
      return json(201, { ...tokenView(token), token: secret });
    },
    listPortTokens: ({ params }) => json(200, { tokens: tokens.list(idOf(params)).map(tokenView) }),
    revokePortToken({ params }) {
      tokens.revoke(idOf(params), params.token);
      return noContent();
    },
    signUrl({ params, body, incoming }) {
      const { port, path = "/", methods = SAFE_METHODS, expiresInSeconds } = body;
      const sandbox = idOf(params);
      // Whole seconds, as the signature has them.
      const expiresAt = new Date(1000 * (Math.ceil(Date.now() / 1000) + expiresInSeconds));
      const token = signer.sign({ sandbox, port, expiresAt, path, methods });
      const target = `${path}?${CREDENTIAL_NAME}=${token}`;
      const listener = /:([0-9]+)$/.exec(incoming.headers.host ?? "")?.[0] ?? "";
      return json(201, {
        path: `/v1/sandboxes/${sandbox}/ports/${port}${target}`,
        url: domain === null ? null : `http://${port}-${sandbox}.${domain}${listener}${target}`,
        token,
        expiresAt: expiresAt.toISOString(),
      });
    },
  };
}

/** The server has replaced what the path had by the sandbox's id. */
const idOf = (params: { readonly ref: string }): SandboxId => params.ref as SandboxId;

const tokenView = ({ id, port, createdAt, expiresAt }: PortToken): PortTokenView => ({
  id,
  port,
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt === null ? null : expiresAt.toISOString(),
});
