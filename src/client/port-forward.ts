import type { AddressInfo, Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { BareConnection } from "./transport.ts";
import { nodeModule } from "./upgrade.ts";

export interface ForwardOptions {
  /** Where to listen; 127.0.0.1 by default. Whoever reaches it reaches the port inside. */
  readonly host?: string;
  /** Told of a connection that could not be made or broke off. */
  readonly onError?: (error: unknown) => void;
}

/** A port of this machine whose connections go to one inside a sandbox. */
export interface PortForward extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Stops listening and ends its connections. Idempotent. */
  close(): Promise<void>;
}

/** Listens on `localPort`, 0 for a free one, and gives each connection one that `dial` makes. */
export async function forwardPort(
  localPort: number,
  dial: () => Promise<BareConnection>,
  { host = "127.0.0.1", onError = () => {} }: ForwardOptions = {},
): Promise<PortForward> {
  const open = new Set<Socket>();
  const server = nodeModule("node:net").createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    connect(socket, dial).catch((error: unknown) => {
      socket.destroy();
      onError(error);
    });
  });
  await listening(server, localPort, host);
  const { address, port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of open) socket.destroy();
    await closed;
  };
  return { host: address, port, close, [Symbol.asyncDispose]: close };
}

/** Carries bytes both ways; the end of one direction leaves the other open. */
async function connect(socket: Socket, dial: () => Promise<BareConnection>): Promise<void> {
  // Without any listener a connection that is reset meanwhile would end the process.
  socket.on("error", () => {});
  const inner = (await dial()) as Duplex;
  if (socket.destroyed) {
    inner.destroy();
    return;
  }
  const { pipeline } = nodeModule("node:stream").promises;
  // An ordinary close would look like an end, and a part like the whole. Before the pipeline's own listeners, which close.
  inner.once("error", () => socket.resetAndDestroy());
  inner.once("close", () => inner.readableEnded || socket.resetAndDestroy());
  try {
    await Promise.all([pipeline(socket, inner), pipeline(inner, socket)]);
  } finally {
    socket.destroy();
    inner.destroy();
  }
}

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
}
