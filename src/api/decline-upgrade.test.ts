import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { declineUpgrade } from "./decline-upgrade.ts";

it("serves the request as an ordinary one, body and all, and the ones behind it on its connection", async () => {
  const server = createServer(async (incoming, outgoing) => {
    const { method, url, rawHeaders } = incoming;
    outgoing.end(`${JSON.stringify({ method, url, rawHeaders, body: await text(incoming) })}\n`);
  });
  server.on("upgrade", (incoming, socket, head) => declineUpgrade(server, incoming, socket, head));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n";
  socket.write(`POST /a?b HTTP/1.1\r\nHost: x\r\nX-Odd: \u00e4\r\nContent-Length: 6\r\n${offer}\r\nhel`, "latin1");
  socket.write("lo!GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const bodies = (await text(socket)).split("\n").filter((line) => line.startsWith("{"));
  expect(bodies.map((line) => JSON.parse(line))).toEqual([
    {
      ...{ method: "POST", url: "/a?b", body: "hello!" },
      rawHeaders: ["Host", "x", "X-Odd", "\u00e4", "Content-Length", "6"],
    },
    { method: "GET", url: "/second", body: "", rawHeaders: ["Host", "x", "Connection", "close"] },
  ]);
  server.close();
  await once(server, "close");
});
