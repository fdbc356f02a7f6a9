import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { joinStreams } from "./join-streams.ts";

/** Two clients whose connections are joined. */
async function joined(): Promise<{ a: Socket; b: Socket; done: Promise<void> }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const open = async (): Promise<[client: Socket, served: Socket]> => {
    const { port } = server.address() as AddressInfo;
    const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const [served] = (await once(server, "connection")) as [Socket];
    return [client, served];
  };
  const [a, innerA] = await open();
  const [b, innerB] = await open();
  server.close();
  return { a, b, done: joinStreams(innerA, innerB) };
}

/** What comes up to the end; unlike an iteration it leaves the other direction open. */
async function heard(socket: Socket): Promise<string> {
  let all = "";
  socket.on("data", (piece) => {
    all += piece;
  });
  await once(socket, "end");
  return all;
}

it("carries both directions, each to its own end", async () => {
  const { a, b, done } = await joined();
  a.end("question");
  expect(await heard(b)).toBe("question");
  b.end("answer");
  expect(await heard(a)).toBe("answer");
  await done;
});

it("passes on a break as a break, not as an end", async () => {
  const { a, b, done } = await joined();
  a.write("part");
  await once(b, "data");
  b.pause();
  a.resetAndDestroy();
  await expect(text(b)).rejects.toMatchObject({ code: "ECONNRESET" });
  await done;
});
