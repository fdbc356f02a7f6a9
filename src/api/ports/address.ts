import type { IncomingMessage } from "node:http";
import { PlyboxError } from "../../model/errors.ts";

/** Which port of which sandbox a request is for, and what to ask it for. */
export interface PortAddress {
  /** An id or a name. */
  readonly ref: string;
  readonly port: number;
  /** Path and query for the server inside, byte for byte as they came; without the first slash where it was not there. */
  readonly target: string;
  /** What the path was cut by. */
  readonly prefix: string;
  /** Whether the host name says where it goes, so that the server inside has an origin of its own. */
  readonly byHost: boolean;
}

const BY_PATH = /^(\/v1\/sandboxes\/([^/?]+)\/ports\/([^/?]+))([/?].*)?$/s;
const BY_HOST = /^([0-9]{1,5})-([a-z0-9][a-z0-9_-]*)$/;

/**
 * The address that a request has by its host name, `PORT-REF.DOMAIN`, or by its path; undefined for all others. The port
 * comes first and ends at the first hyphen, so that a name may hold any number of them.
 * @throws PlyboxError `input/invalid` for a port that is none
 */
export function portAddressOf(incoming: IncomingMessage, domain: string | null): PortAddress | undefined {
  const { url = "", headers } = incoming;
  const [, portByHost, name] = BY_HOST.exec(labelOf(headers.host, domain) ?? "") ?? [];
  if (portByHost !== undefined && name !== undefined) {
    return { ref: name, port: parsePort(portByHost), target: url, prefix: "", byHost: true };
  }
  const [, prefix, ref, portByPath, target = ""] = BY_PATH.exec(url) ?? [];
  if (prefix === undefined || ref === undefined || portByPath === undefined) return undefined;
  return { ref, port: parsePort(portByPath), target, prefix, byHost: false };
}

/** What stands before `.DOMAIN` in a Host header. */
function labelOf(host: string | undefined, domain: string | null): string | undefined {
  if (host === undefined || domain === null) return undefined;
  const name = host
    .toLowerCase()
    .replace(/:[0-9]*$/, "")
    .replace(/\.$/, "");
  return name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : undefined;
}

function parsePort(text: string): number {
  const port = /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new PlyboxError("input/invalid", `${JSON.stringify(text.slice(0, 20))} is not a port`, { field: "port" });
}
