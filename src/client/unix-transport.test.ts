import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Transport } from "./transport.ts";
import { unixTransport } from "./unix-transport.ts";

let directory: string;
let server: Server;
let transport: Transport;
let answer: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
let connections: Socket[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "plybox-unix-"));
  const socketPath = join(directory, "x.sock");
  connections = [];
  answer = (_incoming, outgoing) => outgoing.end("ok");
  server = createServer((incoming, outgoing) => answer(incoming, outgoing));
  server.on("connection", (socket) => connections.push(socket));
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  transport = unixTransport(socketPath);
});

afterEach(async () => {
  transport.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

const ask = async (method: "GET" | "POST", body?: string): Promise<string> =>
  (await transport.send({ method, path: "/v1/x", headers: {}, ...(body !== undefined && { body }) })).text();

describe("the Unix transport", () => {
  it("uses one connection for one request after the other", async () => {
    for (let i = 0; i < 5; i++) expect(await ask("POST", "é")).toBe("ok");
    expect(connections).toHaveLength(1);
  });

  it("announces the length of what it sends, in bytes", async () => {
    answer = (incoming, outgoing) => outgoing.end(incoming.headers["content-length"]);
    expect(await ask("POST", "é")).toBe("2");
    expect(await ask("POST", "")).toBe("0");
  });

  /** The server drops a kept-alive connection exactly as the next request comes in on it. */
  const dropSecond = (): string[] => {
    const methods: string[] = [];
    answer = (incoming, outgoing) => {
      methods.push(incoming.method ?? "");
      if (methods.length === 2) incoming.socket.destroy();
      else outgoing.end("ok");
    };
    return methods;
  };

  it("closes a connection that idles, itself, and none that waits for an answer", async () => {
    transport.close();
    transport = unixTransport(join(directory, "x.sock"), 50);
    let later = (): void => {};
    const idle = new Promise<void>((resolve) => {
      later = resolve;
    });
    answer = (_incoming, outgoing) => void outgoing.end("ok");
    expect(await ask("POST")).toBe("ok");
    connections[0]?.once("close", later);
    await idle;
    answer = (_incoming, outgoing) => void setTimeout(() => outgoing.end("late"), 300);
    expect(await ask("POST")).toBe("late");
    // Also not on a connection that has been used before.
    expect(await ask("POST")).toBe("late");
    expect(connections).toHaveLength(2);
  });

  it("repeats what changes nothing when a kept-alive connection turns out to be closed", async () => {
    const methods = dropSecond();
    await ask("GET");
    expect(await ask("GET")).toBe("ok");
    expect(methods).toEqual(["GET", "GET", "GET"]);
  });

  it("never repeats what may have changed something", async () => {
    const methods = dropSecond();
    await ask("GET");
    await expect(ask("POST", "x")).rejects.toMatchObject({ code: "daemon/unreachable" });
    expect(methods).toEqual(["GET", "POST"]);
  });

  it("says that an answer broke off", async () => {
    answer = (_incoming, outgoing) => {
      outgoing.writeHead(200, { "content-length": 10 });
      outgoing.write("half", () => outgoing.destroy());
    };
    await expect(ask("GET")).rejects.toMatchObject({ code: "daemon/unreachable" });
  });

  it("drops the connection of an answer that is left early", async () => {
    answer = (_incoming, outgoing) => void outgoing.write("endless");
    const { chunks } = await transport.send({ method: "GET", path: "/v1/x", headers: {} });
    const dropped = new Promise((resolve) => connections[0]?.once("close", resolve));
    for await (const chunk of chunks()) {
      expect(Buffer.from(chunk).toString()).toBe("endless");
      break;
    }
    await dropped;
  });
});
