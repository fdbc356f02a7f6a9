import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { joinStreams } from "./join-streams.ts";

interface Joined {
  readonly a: Socket;
  readonly b: Socket;
  readonly done: Promise<void>;
}

/** Two clients whose connections are joined, each after `prepare` has had it. */
async function joined(prepare: (inner: Socket) => void = () => {}): Promise<Joined> {
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
  for (const inner of [innerA, innerB]) prepare(inner);
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

it("breaks off the other connection when one is lost that has only its own end behind it", async () => {
  const { a, b, done } = await joined();
  a.end("all of it");
  expect(await heard(b)).toBe("all of it");
  a.destroy();
  b.on("error", () => {});
  // Until it is told that nobody takes this any more.
  const feeding = setInterval(() => b.write("x".repeat(65536)), 1);
  await new Promise((resolve) => b.once("close", resolve)).finally(() => clearInterval(feeding));
  await done;
  expect(b.writableFinished).toBe(false);
});

it("ends at once where one of the two has closed before", async () => {
  const { a, b, done } = await joined((inner) => {
    inner.destroy();
  });
  a.on("error", () => {}).resume();
  b.on("error", () => {}).resume();
  await done;
});

it("adds so few listeners that Node sees no leak in a connection that others listen to as well", async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warned);
  const { a, b, done } = await joined((inner) => {
    for (let others = 0; others < 7; others++) for (const event of ["close", "error", "end"]) inner.on(event, () => {});
  });
  a.end();
  b.end();
  await Promise.all([heard(a), heard(b), done]);
  process.off("warning", warned);
  expect(warnings).toEqual([]);
});
