import { createHash, timingSafeEqual } from "node:crypto";
import type { ApiKeys } from "../access/api-keys.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Principal } from "../model/principal.ts";
import { LOCAL } from "../model/principal.ts";

/**
 * Decides who asks. Each listener has its own, because a connection does not tell: a TCP socket that its client has
 * just closed has no address, exactly as one on a Unix socket.
 */
export interface Access {
  /** Who asks. Throws PlyboxError `auth/missing` or `auth/refused`. */
  check(authorization: string | undefined): Principal;
  /** Whether this is a credential of this daemon, valid or not any more: nobody else may be told it. */
  owns(authorization: string | undefined): boolean;
}

/**
 * For a Unix socket, whose file mode is the guard: whoever may open it is the operator. Who shows an API key all the
 * same is held to it. `token` is the one that guards TCP.
 */
export function openAccess(keys: Pick<ApiKeys, "principalOf">, token?: string): Access {
  return {
    owns: ownership(keys, token),
    check(authorization) {
      const given = bearerOf(authorization);
      return (given === undefined ? undefined : keys.principalOf(given)) ?? LOCAL;
    },
  };
}

/** For TCP: `Authorization: Bearer`, then an API key or the daemon's own token. */
export function bearerAccess(token: string, keys: Pick<ApiKeys, "principalOf">): Access {
  if (token === "") throw new PlyboxError("internal", "an empty token guards nothing");
  const expected = sha256(token);
  return {
    owns: ownership(keys, token),
    check(authorization) {
      if (authorization === undefined) {
        throw new PlyboxError("auth/missing", "send authorization: Bearer, and the daemon's token or an API key");
      }
      const given = bearerOf(authorization);
      const principal = given === undefined ? undefined : keys.principalOf(given);
      if (principal !== undefined) return principal;
      // Digests have one length, so that the comparison takes the same time whatever was sent.
      if (given === undefined || !timingSafeEqual(sha256(given), expected)) {
        throw new PlyboxError("auth/refused", "the token is not the one of this daemon");
      }
      return LOCAL;
    },
  };
}

function ownership(keys: Pick<ApiKeys, "principalOf">, token: string | undefined): Access["owns"] {
  const expected = token === undefined ? undefined : sha256(token);
  return (authorization) => {
    const given = bearerOf(authorization);
    if (given === undefined) return false;
    if (expected !== undefined && timingSafeEqual(sha256(given), expected)) return true;
    try {
      return keys.principalOf(given) !== undefined;
    } catch {
      // It has the form of a key, and was one perhaps.
      return true;
    }
  };
}

const bearerOf = (authorization: string | undefined): string | undefined =>
  /^Bearer +([^ ]+) *$/i.exec(authorization ?? "")?.[1];

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
