import { createHmac, timingSafeEqual } from "node:crypto";
import type { SandboxId } from "../model/ids.ts";

/** What a signature allows. */
export interface Grant {
  readonly sandbox: SandboxId;
  readonly port: number;
  readonly expiresAt: Date;
  /** This path and what is below it; `/` is all. */
  readonly path: string;
  readonly methods: readonly string[];
}

/** What somebody who shows a signature wants to do. */
export interface Visit {
  readonly sandbox: SandboxId;
  readonly port: number;
  /** As it came, without the query. */
  readonly path: string;
  readonly method: string;
}

const SIGNATURE = /^([0-9]{1,12})\.([A-Z-]{1,80})\.([A-Za-z0-9_-]{0,4096})\.([A-Za-z0-9_-]{43})$/;

/**
 * Makes and checks signatures `EXPIRES.METHODS.PATH.MAC`. The MAC covers the sandbox and the port too, which are where
 * the request goes to and so are not written down again. Nothing is kept: a signature lives until it expires, the sandbox
 * is gone, or the key is replaced.
 */
export class UrlSigner {
  readonly #key: string;
  readonly #now: () => number;

  /** @param key secret, of this daemon alone */
  constructor(key: string, now: () => number = Date.now) {
    this.#key = key;
    this.#now = now;
  }

  sign({ sandbox, port, expiresAt, path, methods }: Grant): string {
    const expires = String(Math.floor(expiresAt.getTime() / 1000));
    const fields = [expires, methods.join("-"), Buffer.from(path).toString("base64url")];
    return [...fields, this.#mac(sandbox, port, fields)].join(".");
  }

  /** When it expires, where it allows the visit now. */
  verify(signature: string, { sandbox, port, path, method }: Visit): Date | undefined {
    const [, expires = "", methods = "", prefix = "", mac = ""] = SIGNATURE.exec(signature) ?? [];
    const expected = this.#mac(sandbox, port, [expires, methods, prefix]);
    // Both have one length, so that the comparison takes the same time whatever was sent.
    if (mac === "" || !timingSafeEqual(Buffer.from(mac), Buffer.from(expected))) return undefined;
    const expiresAt = new Date(Number(expires) * 1000);
    if (expiresAt.getTime() <= this.#now()) return undefined;
    if (!methods.split("-").includes(method)) return undefined;
    return isBelow(Buffer.from(prefix, "base64url").toString(), path) ? expiresAt : undefined;
  }

  #mac(sandbox: SandboxId, port: number, fields: readonly string[]): string {
    const text = ["plybox signed url 1", sandbox, port, ...fields].join("\n");
    return createHmac("sha256", this.#key).update(text).digest("base64url");
  }
}

/** Whether a path is `prefix` or below it, also for a server that resolves dots after decoding. */
function isBelow(prefix: string, path: string): boolean {
  if (prefix === "/") return true;
  if (climbs(path)) return false;
  const directory = prefix.endsWith("/") ? prefix : `${prefix}/`;
  return path === prefix || path.startsWith(directory);
}

/** Whether any server could take a segment for `.` or `..`: encoded once or more, by backslash, with `;` parameters. */
function climbs(path: string): boolean {
  let plain = path;
  for (let before = ""; before !== plain; ) {
    before = plain;
    plain = plain.replaceAll(/%(25|2e|2f|5c|3b)/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  return plain.split(/[/\\]/).some((segment) => /^\.{1,2}(?:;|$)/.test(segment));
}
