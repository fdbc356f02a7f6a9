import { WebSocketServer } from "ws";
import { DEFAULT_SHELL } from "../model/default-shell.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecRequest, ExecSession } from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import { newExecId } from "../model/ids.ts";
import type { Commands } from "../sandbox/execs/commands.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import { parse } from "./parse.ts";
import { readQuery } from "./query.ts";
import type { RightOfWay } from "./right-of-way.ts";
import { execParams } from "./schemas/exec.ts";
import { terminalAttachQuery, terminalQuery } from "./schemas/terminal.ts";
import { serveTerminal } from "./terminal-socket.ts";
import type { UpgradeCall, UpgradeRoute } from "./upgrades.ts";

/** Keys and requests; a larger message is refused. */
const MESSAGE_BYTES = 256 * 1024;
const PROTOCOL = "plybox.v1";

interface TerminalParts {
  readonly sandboxes: Sandboxes;
  readonly commands: Commands;
  readonly rightOfWay: RightOfWay;
}

/** Terminals over WebSocket: one to start a command on, and one to listen again to a command that runs on one. */
export function terminalRoutes({ sandboxes, commands, rightOfWay }: TerminalParts): readonly UpgradeRoute[] {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_BYTES,
    // What a terminal shows is small and comes at once: compressed it would come later.
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  });
  const upgrade = (call: UpgradeCall, session: ExecSession, from: number): void => {
    const { incoming, socket, head, stopping } = call;
    // Only now, so that whoever asks for what is not there is told so in HTTP.
    server.handleUpgrade(incoming, socket, head, (ws) => {
      const turns = rightOfWay.stream();
      serveTerminal(ws, { session, turns, from, stopping, sandboxes, ref: call.params.ref ?? "" });
    });
  };
  return [
    {
      action: "openTerminal",
      path: "/v1/sandboxes/:ref/terminal",
      async handle(call) {
        const query = parse(terminalQuery, readQuery(call.incoming.url ?? "", terminalQuery));
        const { columns = 80, rows = 24, command = DEFAULT_SHELL, cwd, user } = query;
        requireWebSocket(call);
        const request: ExecRequest = {
          exec: newExecId(),
          command,
          pty: { columns, rows },
          ...(cwd !== undefined && { cwd }),
          ...(user !== undefined && { user }),
        };
        const origin = { by: call.principal.name, detached: false };
        const session = await commands.start(call.params.ref ?? "", request, origin);
        upgrade(call, session, 0);
      },
    },
    {
      action: "attachTerminal",
      path: "/v1/sandboxes/:ref/execs/:exec/terminal",
      async handle(call) {
        const { ref, exec } = parse(execParams, { ...call.params });
        const { from = 0 } = parse(terminalAttachQuery, readQuery(call.incoming.url ?? "", terminalAttachQuery));
        requireWebSocket(call);
        const session = await commands.attach(ref, exec as ExecId, { stdout: from, stderr: 0 });
        upgrade(call, session, from);
      },
    },
  ];
}

/** Before a command is started for it. */
function requireWebSocket({ incoming: { headers, method } }: UpgradeCall): void {
  const isOne =
    method === "GET" &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-version"] === "13" &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "");
  if (!isOne)
    throw new PlyboxError("input/invalid", "not the request of a WebSocket, version 13", { field: "upgrade" });
}
