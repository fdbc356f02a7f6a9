import { createHash } from "node:crypto";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answerOf, PortBox } from "../support/port-box.ts";
import { TestDaemon } from "../support/test-daemon.ts";

/** Echoes without end. */
const ECHO = `import socket
s = socket.create_server(("127.0.0.1", 9000)).accept()[0]
while data := s.recv(100): s.sendall(data)
`;

let box: PortBox;
beforeAll(async () => {
  box = await PortBox.start();
});
afterAll(() => box[Symbol.asyncDispose]());

const MIB = 1024 ** 2;
const codeOf = (body: string): string => JSON.parse(body).error.code;

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
}
const seenHeader = ({ headers }: Seen, name: string): string | undefined => {
  const index = headers.findIndex((each, at) => at % 2 === 0 && each.toLowerCase() === name);
  return index === -1 ? undefined : headers[index + 1];
};

describe("a request to a port", () => {
  it("arrives byte for byte, and says where it came from", async () => {
    const { body } = await box.ask(box.path("/a%2Fb//c/..;x?q=%zz&plain&=1"), {
      headers: { host: "outer.test:1", "X-Odd": "v" },
    });
    const seen: Seen = JSON.parse(body);
    expect(seen).toMatchObject({ method: "GET", url: "/a%2Fb//c/..;x?q=%zz&plain&=1" });
    expect(seen.headers).toEqual(expect.arrayContaining(["X-Odd", "v"]));
    expect(seenHeader(seen, "host")).toBe("outer.test:1");
    expect(seenHeader(seen, "x-forwarded-host")).toBe("outer.test:1");
    expect(seenHeader(seen, "x-forwarded-proto")).toBe("http");
    expect(seenHeader(seen, "x-forwarded-prefix")).toBe(box.path(""));
  });

  it("keeps method, status, reason and repeated headers, and drops those of one connection", async () => {
    const { answer, body } = await box.ask(box.path("/status"), { method: "PROPFIND" });
    expect([answer.statusCode, answer.statusMessage, body]).toEqual([418, "Short And Stout", "teapot"]);
    expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(answer.headers["x-hop"]).toBeUndefined();
    const sent: Seen = JSON.parse(
      (await box.ask(box.path("/"), { headers: { connection: "keep-alive, x-mine", "x-mine": "1", te: "gzip" } })).body,
    );
    expect(seenHeader(sent, "x-mine")).toBeUndefined();
    expect(seenHeader(sent, "te")).toBeUndefined();
  });

  it("streams both ways at once, with trailers", async () => {
    const request = box.begin(box.path("/echo"), { method: "POST", headers: { trailer: "x-before", te: "trailers" } });
    request.write("one");
    const answer = await answerOf(request);
    expect(String((await once(answer, "data"))[0])).toBe("one");
    request.write("two");
    expect(String((await once(answer, "data"))[0])).toBe("two");
    request.addTrailers({ "x-before": "last" });
    request.end();
    answer.resume();
    await once(answer, "end");
    expect(answer.trailers["x-after"]).toBe("last");
    expect(answer.rawHeaders).toContain("x-case");
  });

  it("carries 100 MB each way unharmed", async () => {
    const request = box.begin(box.path("/count"), { method: "PUT" });
    const sent = createHash("sha256");
    for (let index = 0; index < 100; index += 1) {
      const chunk = Buffer.alloc(MIB, index * 7);
      sent.update(chunk);
      if (!request.write(chunk)) await once(request, "drain");
    }
    request.end();
    const answer = JSON.parse(await text(await answerOf(request)));
    expect(answer).toEqual({ bytes: 100 * MIB, sha256: sent.digest("hex") });

    const down = box.begin(box.path("/big?megabytes=100"));
    down.end();
    const [expected, got] = [createHash("sha256"), createHash("sha256")];
    for (let index = 0; index < 100; index += 1) expected.update(Buffer.alloc(MIB, index));
    for await (const chunk of await answerOf(down)) got.update(chunk);
    expect(got.digest("hex")).toBe(expected.digest("hex"));
  });

  it("stalls nobody else when its reader stops, and nobody buffers what it does not read", async () => {
    const stalled = box.begin(box.path("/big?megabytes=200"));
    stalled.end();
    const answer = await answerOf(stalled);
    const pushed = async () => Number((await box.ask(box.path("/pushed"))).body);
    let before = -1;
    for (let now = await pushed(); now !== before; now = await pushed()) {
      before = now;
      await delay(200);
    }
    // Socket buffers, credit and rings on the way, a few of each.
    expect(before).toBeLessThan(20);
    expect((await box.sandbox.exec("echo lively")).stdout).toBe("lively\n");
    let bytes = 0;
    for await (const chunk of answer) bytes += chunk.length;
    expect([bytes, await pushed()]).toEqual([200 * MIB, 200]);
  });

  it("is one of many at once, each with its own answer", async () => {
    const bodies = Array.from({ length: 300 }, (_, index) => `body ${index}`);
    const asked = bodies.map((body) => box.ask(box.path("/echo"), { method: "POST", body }));
    expect((await Promise.all(asked)).map(({ body }) => body)).toEqual(bodies);
  });

  it("that breaks off is not taken for a whole one", async () => {
    const request = box.begin(box.path("/cut"));
    request.end();
    await expect(answerOf(request).then(text)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it.each([
    ["where nothing listens", "/v1/sandboxes/80-web-1/ports/9/", 502, "port/unreachable"],
    ["to what is no port", "/v1/sandboxes/80-web-1/ports/65536/", 400, "input/invalid"],
    ["to no sandbox", "/v1/sandboxes/nobody/ports/80/", 404, "sandbox/not-found"],
    ["to what speaks no HTTP", "/v1/sandboxes/80-web-1/ports/8083/", 502, "port/reset"],
    ["to what changes the protocol unasked", "/v1/sandboxes/80-web-1/ports/8083/101", 502, "port/reset"],
    ["to what answers a status that is none", "/v1/sandboxes/80-web-1/ports/8083/099", 502, "port/reset"],
  ])("%s is answered by the daemon", async (...[, path, status, code]) => {
    const asked = await box.ask(path, { method: "POST", body: "x" });
    expect([asked.status, codeOf(asked.body)]).toEqual([status, code]);
  });

  it("without a path is sent to the root, below which a page's relative addresses stay", async () => {
    const { status, answer } = await box.ask(`${box.path("")}?a=b`);
    expect([status, answer.headers.location]).toEqual([308, box.path("/?a=b")]);
  });

  it("reaches a server on ::1 alone", async () => {
    expect((await box.ask(box.path("/", 8082))).body).toBe("six");
  });
});

describe("leaving HTTP", () => {
  it("hands both sides the connection", async () => {
    const { answer, socket, head } = await box.upgrade(box.path("/ws?x=%41"));
    expect([answer.statusCode, answer.headers["x-url"]]).toEqual([101, "/ws?x=%41"]);
    if (socket === undefined) throw new Error("no upgrade");
    socket.end("and goodbye");
    expect(head.toString() + (await text(socket))).toBe("hello and goodbye");
  });

  it("that the server inside refuses is an ordinary answer", async () => {
    const { answer, socket } = await box.upgrade(box.path("/refuse"));
    expect([answer.statusCode, socket]).toEqual([426, undefined]);
    expect(await text(answer)).toBe("no");
  });

  it("to where nothing listens is refused in JSON", async () => {
    const { answer } = await box.upgrade(box.path("/", 9));
    expect(answer.statusCode).toBe(502);
    expect(codeOf(await text(answer))).toBe("port/unreachable");
  });
});

it("an open connection does not keep the daemon from stopping", async () => {
  const daemon = new TestDaemon();
  const { stop } = await daemon.start();
  const sandbox = await daemon.client.create();
  await sandbox.detach(["python3", "-c", ECHO]);
  await sandbox.ports.waitFor(9000);
  const { readable, writable } = await sandbox.ports.dial(9000);
  await writable.getWriter().write(Buffer.from("x"));
  const reader = readable.getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("x");
  await stop();
  expect((await reader.read()).done).toBe(true);
  // What is left is for the next daemon to clear away.
  await daemon.start();
  await daemon[Symbol.asyncDispose]();
});

describe("the bare bytes of a port", () => {
  const dial = (query: string) =>
    box.upgrade(`/v1/sandboxes/${box.sandbox.id}/dial?${query}`, { headers: { upgrade: "plybox-stream" } });

  it("are half closed by the client, and the answer still comes", async () => {
    const { socket } = await dial("port=8081");
    if (socket === undefined) throw new Error("no upgrade");
    socket.write(Buffer.alloc(3 * MIB));
    socket.end();
    expect(await text(socket)).toBe(`got ${3 * MIB}`);
  });

  it("may be a Unix socket's", async () => {
    const { socket } = await dial("socket=/run/echo.sock");
    socket?.end("over a socket");
    expect(socket && (await text(socket))).toBe("over a socket");
  });

  it.each([
    ["port=9", "port/unreachable"],
    ["socket=/none", "port/unreachable"],
    ["port=80&socket=/a", "input/invalid"],
    ["", "input/invalid"],
    ["port=80&host=10.0.0.1", "input/invalid"],
    ["port=80&bogus=1", "input/invalid"],
  ])("are refused for %j", async (query, code) => {
    const { answer } = await dial(query);
    expect(codeOf(await text(answer))).toBe(code);
  });

  it("end when the sandbox is removed", async () => {
    const other = await box.daemon.client.create();
    await other.detach(["python3", "-c", ECHO]);
    await other.ports.waitFor(9000);
    const { readable, writable } = await other.ports.dial(9000);
    const reader = readable.getReader();
    await writable.getWriter().write(Buffer.from("x"));
    await reader.read();
    await other.remove();
    expect((await reader.read()).done).toBe(true);
  });

  it("need the right protocol", async () => {
    const { answer } = await box.upgrade(`/v1/sandboxes/${box.sandbox.id}/dial?port=8081`);
    expect(codeOf(await text(answer))).toBe("input/invalid");
  });
});
