import type { IncomingHttpHeaders } from "node:http";

/** The header that carries a port token. */
export const TOKEN_HEADER = "x-plybox-port-token";
/** The query parameter that carries a port token or a signature, and the cookie that keeps it. */
export const CREDENTIAL_NAME = "plybox-token";

export interface Credentials {
  /** Shown on purpose: a wrong one is refused. */
  readonly shown: readonly string[];
  /** From the cookie, which may be an old one. */
  readonly kept: string | undefined;
}

/** A target without what is meant for this daemon, and that. The rest stays as it is, byte for byte. */
export function takeFromTarget(target: string): { readonly target: string; readonly taken: readonly string[] } {
  const mark = target.indexOf("?");
  if (mark === -1) return { target, taken: [] };
  const parts = target.slice(mark + 1).split("&");
  const own = parts.filter(isOwn);
  if (own.length === 0) return { target, taken: [] };
  const rest = parts.filter((part) => !isOwn(part)).join("&");
  const taken = own.map((part) => part.slice(CREDENTIAL_NAME.length + 1));
  return { target: target.slice(0, mark) + (rest === "" ? "" : `?${rest}`), taken };
}

const isOwn = (part: string): boolean => part === CREDENTIAL_NAME || part.startsWith(`${CREDENTIAL_NAME}=`);

/** The value of a Cookie header without this daemon's own cookie, and that. */
export function takeFromCookie(header: string): { readonly rest: string; readonly taken: string | undefined } {
  const pairs = header.split(/;\s*/).filter((pair) => pair !== "");
  const own = pairs.find(isOwn);
  const rest = pairs.filter((pair) => !isOwn(pair)).join("; ");
  return { rest, taken: own?.slice(CREDENTIAL_NAME.length + 1) };
}

/** What a request shows to be let in. */
export function credentialsOf(headers: IncomingHttpHeaders, taken: readonly string[]): Credentials {
  const header = headers[TOKEN_HEADER];
  const shown = [...(header === undefined ? [] : [header].flat()), ...taken];
  return { shown, kept: headers.cookie === undefined ? undefined : takeFromCookie(headers.cookie).taken };
}
