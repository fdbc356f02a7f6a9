import { PlyboxError } from "../../model/errors.ts";
import { parsePort } from "./port.ts";

/** From where to where connections are carried. */
export interface Forwarding {
  readonly host: string;
  /** 0 for a free one. */
  readonly localPort: number;
  readonly target: { readonly port: number } | { readonly socket: string };
}

const SPEC = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):(?=[^:]+:))?(?:([^:]+):)?([^:]+|\/.*)$/s;

/**
 * `[[HOST:]LOCAL:]REMOTE`: `8080`, `8080:80`, `0:80`, `127.0.0.1:8080:80`, `[::1]:8080:80`, `8080:/run/x.sock`.
 * @throws PlyboxError `input/invalid`
 */
export function parseForwarding(text: string): Forwarding {
  const [, brackets, name, local, remote = ""] = SPEC.exec(text) ?? [];
  const host = brackets ?? name ?? "127.0.0.1";
  if (remote.startsWith("/")) {
    if (local === undefined) throw invalid(text, "a socket needs a port of this machine, such as 8080:/run/x.sock");
    return { host, localPort: parseLocal(local, text), target: { socket: remote } };
  }
  if (remote === "") throw invalid(text, "write [[HOST:]LOCAL:]REMOTE, such as 8080:80");
  const port = parsePort(remote);
  return { host, localPort: local === undefined ? port : parseLocal(local, text), target: { port } };
}

function parseLocal(local: string, text: string): number {
  if (local === "0") return 0;
  if (/^\d/.test(local)) return parsePort(local);
  throw invalid(text, "write [[HOST:]LOCAL:]REMOTE, such as 8080:80");
}

const invalid = (text: string, expected: string): PlyboxError =>
  new PlyboxError("input/invalid", `not a forwarding: ${JSON.stringify(text.slice(0, 80))}; ${expected}`);
