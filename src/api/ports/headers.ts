import type { IncomingMessage } from "node:http";
import type { PortAddress } from "./address.ts";
import { TOKEN_HEADER, takeFromCookie } from "./credentials.ts";

/** Of one connection and not of the request, RFC 9110 §7.6.1; `trailer` and `te: trailers` are passed on all the same. */
const HOP_BY_HOP = new Set(["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"]);
/** Told anew, or answered already. */
const REPLACED = new Set(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix", "expect"]);

type RawHeaders = readonly string[];

export interface InnerRequest {
  readonly address: PortAddress;
  /** Whether the request leaves HTTP for another protocol. */
  readonly upgrades: boolean;
  /** Whether `authorization` was meant for this daemon. */
  readonly dropAuthorization: boolean;
}

/** What the server inside is sent: the client's headers in their order and spelling, and where they came from. */
export function innerHeaders(incoming: IncomingMessage, request: InnerRequest): string[] {
  const { headers, rawHeaders } = incoming;
  const named = namedByConnection(headers.connection);
  const kept: string[] = [];
  for (const [name, value] of pairs(rawHeaders)) {
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || REPLACED.has(lower) || named.has(lower) || lower === TOKEN_HEADER) continue;
    if (lower === "authorization" && request.dropAuthorization) continue;
    const text = lower === "cookie" ? takeFromCookie(value).rest : value;
    if (lower !== "cookie" || text !== "") kept.push(name, text);
  }
  if (headers.host === undefined) kept.push("host", `localhost:${request.address.port}`);
  return [...kept, ...framing(incoming, request), ...forwarded(incoming, request.address)];
}

/** How the body, or the other protocol, is announced on the inner connection. */
function framing(incoming: IncomingMessage, { upgrades }: InnerRequest): string[] {
  const { method = "GET", headers } = incoming;
  if (upgrades) return ["connection", "Upgrade", "upgrade", headers.upgrade ?? ""];
  const te = /\btrailers\b/i.test([headers.te ?? []].flat().join()) ? ["te", "trailers"] : [];
  if (headers["transfer-encoding"] !== undefined) return ["transfer-encoding", "chunked", ...te];
  // Without either header the request has no body, which Node would not take from the method of some.
  const isBare = headers["content-length"] === undefined && !["GET", "HEAD", "DELETE", "OPTIONS"].includes(method);
  return [...(isBare ? ["content-length", "0"] : []), ...te];
}

function forwarded({ headers, socket }: IncomingMessage, { prefix }: PortAddress): string[] {
  const earlier = [headers["x-forwarded-for"] ?? []].flat();
  const hops = [...earlier, ...(socket.remoteAddress === undefined ? [] : [socket.remoteAddress])];
  const outer = [headers["x-forwarded-prefix"] ?? ""].flat()[0] ?? "";
  const host = [headers["x-forwarded-host"] ?? headers.host ?? []].flat();
  return [
    ...(hops.length === 0 ? [] : ["x-forwarded-for", hops.join(", ")]),
    ...["x-forwarded-proto", [headers["x-forwarded-proto"] ?? "http"].flat().join(", ")],
    ...(host.length === 0 ? [] : ["x-forwarded-host", host.join(", ")]),
    ...(outer + prefix === "" ? [] : ["x-forwarded-prefix", outer + prefix]),
  ];
}

/** What the client is sent of the inner answer's headers. */
export function outerHeaders(answer: IncomingMessage): string[] {
  const named = namedByConnection(answer.headers.connection);
  return pairs(answer.rawHeaders)
    .filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
    .flat();
}

const namedByConnection = (connection: string | undefined): ReadonlySet<string> =>
  new Set((connection ?? "").split(",").map((name) => name.trim().toLowerCase()));

export function pairs(raw: RawHeaders): [name: string, value: string][] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index] ?? "", raw[2 * index + 1] ?? ""]);
}
