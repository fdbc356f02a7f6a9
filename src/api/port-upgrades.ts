import { joinStreams } from "../base/join-streams.ts";
import { PlyboxError } from "../model/errors.ts";
import type { DialTarget } from "../model/port.ts";
import type { Ports } from "../sandbox/ports/ports.ts";
import { parse } from "./parse.ts";
import { readQuery } from "./query.ts";
import { dialQuery } from "./schemas/port.ts";
import type { UpgradeRoute } from "./upgrades.ts";

const PROTOCOL = "plybox-stream";

/** The bare bytes of a port or of a Unix socket: after the 101 each side sends what it likes. */
export function dialRoute(ports: Ports): UpgradeRoute {
  return {
    action: "dial",
    path: "/v1/sandboxes/:ref/dial",
    async handle({ params, incoming, socket, head }) {
      if (incoming.headers.upgrade?.toLowerCase() !== PROTOCOL) {
        throw new PlyboxError("input/invalid", `upgrade must be ${PROTOCOL}`, { field: "upgrade" });
      }
      const target = targetOf(parse(dialQuery, readQuery(incoming.url ?? "")));
      const gone = new AbortController();
      socket.once("close", () => gone.abort());
      const inner = await ports.dial(params.ref ?? "", target, gone.signal);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${PROTOCOL}\r\n\r\n`);
      if (head.length > 0) inner.write(head);
      await joinStreams(socket, inner);
    },
  };
}

function targetOf({ port, host, socket }: ReturnType<typeof dialQuery.parse>): DialTarget {
  if (port !== undefined && socket === undefined) return { port, ...(host !== undefined && { host }) };
  if (socket !== undefined && port === undefined && host === undefined) return { socket };
  throw new PlyboxError("input/invalid", "give either port, and host if you like, or socket", { field: "port" });
}
