import { createHash, timingSafeEqual } from "node:crypto";
import { PlyboxError } from "../model/errors.ts";
import type { Principal } from "../model/principal.ts";
import { LOCAL } from "../model/principal.ts";

/**
 * Decides whether a request may be served. Each listener has its own, because a connection does not tell: a TCP socket
 * that its client has just closed has no address, exactly as one on a Unix socket.
 */
export interface Access {
  /** Who asks. Throws PlyboxError `auth/missing` or `auth/refused`. */
  check(authorization: string | undefined): Principal;
}

/** For a Unix socket, whose file mode is the guard. */
export const openAccess: Access = { check: () => LOCAL };

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

/** For TCP: `Authorization: Bearer TOKEN`. */
export function bearerAccess(token: string): Access {
  if (token === "") throw new PlyboxError("internal", "an empty token guards nothing");
  const expected = sha256(token);
  return {
    check(authorization) {
      if (authorization === undefined) {
        throw new PlyboxError("auth/missing", "send authorization: Bearer TOKEN");
      }
      const given = /^Bearer +([^ ]+) *$/i.exec(authorization)?.[1];
      // Digests have one length, so that the comparison takes the same time whatever was sent.
      if (given === undefined || !timingSafeEqual(sha256(given), expected)) {
        throw new PlyboxError("auth/refused", "the token is not the one of this daemon");
      }
      return LOCAL;
    },
  };
}
