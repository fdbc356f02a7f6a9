import type { IncomingMessage } from "node:http";
import type { PortTokens } from "../../access/port-tokens.ts";
import type { UrlSigner } from "../../access/signed-urls.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { Principal } from "../../model/principal.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { Sandboxes } from "../../sandbox/sandboxes.ts";
import type { Access } from "../access.ts";
import type { Errand, Gate } from "../gate.ts";
import type { PortAddress } from "./address.ts";
import type { Credentials } from "./credentials.ts";

/** Somebody who has been let in. */
export interface Visitor {
  readonly sandbox: Sandbox;
  /** A cookie that keeps what was shown in the query. */
  readonly keep: { readonly credential: string; readonly expiresAt: Date | null } | undefined;
  /** The request's `authorization` is this daemon's business and nobody else's. */
  readonly dropAuthorization: boolean;
}

export interface VisitorsOptions {
  readonly gate: Gate;
  readonly sandboxes: Pick<Sandboxes, "list">;
  readonly tokens: PortTokens;
  readonly signer: UrlSigner;
}

/** Decides who may reach a port: by a port token or a signature, or as one who may do everything here. */
export class Visitors {
  readonly #options: VisitorsOptions;

  constructor(options: VisitorsOptions) {
    this.#options = options;
  }

  /** @throws PlyboxError `auth/missing`, `auth/refused`, `auth/scope-missing`, `rate/limited`, `sandbox/not-found` */
  admit(incoming: IncomingMessage, address: PortAddress, credentials: Credentials, access: Access): Visitor {
    const { method = "GET", headers } = incoming;
    const errand = { action: "visitPort", method: "GET", path: "/v1/sandboxes/:ref/ports/:port", incoming, access };
    const isOwnAuthorization = access.owns(headers.authorization);
    const shown = credentials.shown.map((credential) => {
      const found = this.#verify(credential, address, method);
      // What was shown on purpose is not passed over in silence, whatever else would let the request in.
      if (found === undefined) throw new PlyboxError("auth/refused", "the port token or signature is not valid here");
      return { credential, ...found };
    })[0];
    if (shown !== undefined) {
      this.#spend(shown.sandbox, errand);
      return { sandbox: shown.sandbox, dropAuthorization: isOwnAuthorization, keep: shown };
    }
    if (credentials.kept !== undefined) {
      const found = this.#verify(credentials.kept, address, method);
      if (found !== undefined) {
        this.#spend(found.sandbox, errand);
        return { sandbox: found.sandbox, dropAuthorization: isOwnAuthorization, keep: undefined };
      }
    }
    return this.#admitPrincipal(errand, address, isOwnAuthorization);
  }

  #admitPrincipal(errand: Errand, { ref, byHost }: PortAddress, isOwnAuthorization: boolean): Visitor {
    // A host name may be served to the world by a proxy that reaches the Unix socket: there the socket proves nothing.
    if (byHost && !isOwnAuthorization) {
      throw new PlyboxError("auth/missing", "send a port token, a signed URL or authorization: Bearer");
    }
    const { gate } = this.#options;
    const principal = gate.identify(errand);
    gate.admit(principal, errand);
    return { sandbox: gate.find(principal, ref), keep: undefined, dropAuthorization: isOwnAuthorization };
  }

  /** Each tenant has names of its own, and a visitor has no tenant: the credential says which one is meant. */
  #verify(
    credential: string,
    { ref, port, target }: PortAddress,
    method: string,
  ): { readonly sandbox: Sandbox; readonly expiresAt: Date | null } | undefined {
    const { sandboxes, tokens, signer } = this.#options;
    const path = target.split("?", 1)[0] ?? "";
    for (const sandbox of sandboxes.list()) {
      if (sandbox.id !== ref && sandbox.name !== ref) continue;
      const token = tokens.verify(credential, sandbox.id, port);
      if (token !== undefined) return { sandbox, expiresAt: token.expiresAt };
      const expiresAt = signer.verify(credential, { sandbox: sandbox.id, port, path, method });
      if (expiresAt !== undefined) return { sandbox, expiresAt };
    }
    return undefined;
  }

  /** A visitor counts against the rate of the tenant whose sandbox it is. */
  #spend({ tenant }: Sandbox, errand: Errand): void {
    const visitor: Principal = { tenant, name: "visitor", key: null, scopes: new Set(["ports"]), isOperator: false };
    this.#options.gate.admit(visitor, errand);
  }
}
