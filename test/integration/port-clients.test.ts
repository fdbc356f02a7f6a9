import { EventEmitter, once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import type { CliOutcome } from "../support/cli-context.ts";
import { runCli } from "../support/cli-context.ts";
import { PortBox } from "../support/port-box.ts";

const MIB = 1024 ** 2;
let box: PortBox;
let overTcp: Plybox;
beforeAll(async () => {
  box = await PortBox.start();
  overTcp = new Plybox({ baseUrl: `http://127.0.0.1:${box.tcpPort}`, token: box.token });
});
afterAll(() => box[Symbol.asyncDispose]());

const sandboxOver = (transport: string): Promise<Sandbox> =>
  transport === "TCP" ? overTcp.get(box.sandbox.id) : Promise.resolve(box.sandbox);
const cli = (...args: readonly string[]): Promise<CliOutcome> =>
  runCli([...args, "--socket", box.daemon.config.socket]);

describe.each(["a Unix socket", "TCP"])("the SDK over %s", (transport) => {
  it("lists what listens", async () => {
    const { ports } = await sandboxOver(transport);
    expect(await ports.list()).toEqual([
      { port: 8080, addresses: ["127.0.0.1"] },
      { port: 8081, addresses: ["0.0.0.0"] },
      { port: 8082, addresses: ["::1"] },
      { port: 8083, addresses: ["127.0.0.1"] },
      { port: 8084, addresses: ["127.0.0.1"] },
    ]);
  });

  it("fetches, with any method, headers and body", async () => {
    const { ports } = await sandboxOver(transport);
    const echoed = await ports.fetch(8080, "/echo", { method: "PUT", body: "body", headers: { "x-mine": "1" } });
    expect([echoed.status, echoed.headers.get("x-case"), await echoed.text()]).toEqual([200, "Kept", "body"]);
    const teapot = await ports.fetch(8080, "/status", { method: "OPTIONS" });
    expect([teapot.status, teapot.headers.getSetCookie()]).toEqual([418, ["a=1", "b=2"]]);
    const big = await ports.fetch(8080, "/big?megabytes=20");
    expect((await big.arrayBuffer()).byteLength).toBe(20 * MIB);
  });

  it("dials, and half closes", async () => {
    const { ports } = await sandboxOver(transport);
    const { readable, writable } = await ports.dial(8081);
    const writer = writable.getWriter();
    await writer.write(new Uint8Array(5 * MIB));
    await writer.close();
    expect(await text(readable)).toBe(`got ${5 * MIB}`);
    const six = await ports.dial({ port: 8082, host: "::1" });
    await six.writable.getWriter().write(Buffer.from("GET / HTTP/1.0\r\n\r\n"));
    // The server's end is told though this side has not ended its own.
    expect(await text(six.readable)).toMatch(/\r\n\r\nsix$/);
    six.close();
    await expect(ports.dial(9)).rejects.toMatchObject({ code: "port/unreachable" });
  });

  it("forwards a port and a Unix socket", async () => {
    const { ports } = await sandboxOver(transport);
    await using forward = await ports.forward(0, 8080);
    const answer = await fetch(`http://${forward.host}:${forward.port}/echo`, { method: "POST", body: "forwarded" });
    expect(await answer.text()).toBe("forwarded");
    await using echo = await ports.forward(0, { socket: "/run/echo.sock" });
    const socket = connect(echo.port, echo.host);
    socket.end("by socket");
    expect(await text(socket)).toBe("by socket");
  });
});

describe("the SDK", () => {
  it("waits until something listens", async () => {
    const waiting = box.sandbox.ports.waitFor(8090);
    const server = await box.sandbox.spawn("exec python3 -m http.server 8090 --bind 127.0.0.1");
    await waiting;
    expect((await box.sandbox.ports.fetch(8090, "/")).status).toBe(200);
    await server.kill();
    await server.exit;
    await expect(box.sandbox.ports.waitFor(8090, { timeoutMs: 50 })).rejects.toMatchObject({ code: "port/not-ready" });
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(box.sandbox.ports.waitFor(8090, { signal })).rejects.toThrow("enough");
  });

  it("says why a forwarded connection could not be made, and takes the next", async () => {
    const errors: unknown[] = [];
    await using forward = await box.sandbox.ports.forward(0, 9, { onError: (error) => errors.push(error) });
    for (const _each of [1, 2]) {
      const socket = connect(forward.port, forward.host);
      socket.on("error", () => {});
      await once(socket, "close");
    }
    expect(errors).toEqual(Array(2).fill(expect.objectContaining({ code: "port/unreachable" })));
  });

  it("tells a break from an end over TCP, also through a forwarded port", async () => {
    const { ports } = await overTcp.get(box.sandbox.id);
    const { readable, writable } = await ports.dial(8084);
    await writable.getWriter().write(Buffer.from("x"));
    await expect(text(readable)).rejects.toMatchObject({ code: "ECONNRESET" });
    await using forward = await ports.forward(0, 8084);
    const socket = connect(forward.port, forward.host);
    socket.write("x");
    await expect(text(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("knows a port's address on TCP alone", () => {
    expect(() => box.sandbox.ports.url(8080)).toThrow(TypeError);
  });

  it("ends what is forwarded when it closes", async () => {
    const forward = await box.sandbox.ports.forward(0, { socket: "/run/echo.sock" });
    const socket = connect(forward.port, forward.host);
    socket.on("error", () => {});
    socket.write("x");
    await once(socket, "data");
    await forward.close();
    await once(socket, "close");
  });
});

describe("plybox forward", () => {
  it("carries connections until Ctrl-C", async () => {
    const interrupts = new EventEmitter();
    let told = "";
    const listening = new EventEmitter();
    const done = runCli(["forward", "80-web-1", "0:8080", "0:/run/echo.sock", "--socket", box.daemon.config.socket], {
      interrupts,
      onStdout: (more) => {
        told += more;
        if (told.split("\n").length === 3) listening.emit("all");
      },
    });
    await once(listening, "all");
    const [, port] = /^127\.0\.0\.1:(\d+) -> 8080\n127\.0\.0\.1:\d+ -> \/run\/echo\.sock\n$/.exec(told) ?? [];
    expect(await (await fetch(`http://127.0.0.1:${port}/echo`, { method: "POST", body: "hello" })).text()).toBe(
      "hello",
    );
    interrupts.emit("SIGINT", "SIGINT");
    expect((await done).exitCode).toBe(0);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  });

  it.each([
    [["nobody", "80"], /sandbox\/not-found/],
    [["80-web-1", "a:80"], /not a forwarding/],
    [["80-web-1", "192.0.2.1:8080:80"], /cannot listen on 192\.0\.2\.1:8080: EADDRNOTAVAIL/],
  ])("refuses %j", async (args, message) => {
    const { exitCode, stderr } = await cli("forward", ...args);
    expect([exitCode, stderr]).toEqual([125, expect.stringMatching(message)]);
  });
});

describe("plybox ports", () => {
  it("shows what listens, and waits for it", async () => {
    const { stdout } = await cli("ports", "80-web-1", "--wait", "8080");
    expect(stdout).toMatch(/PORT +ADDRESSES\n8080 +127\.0\.0\.1\n/);
    const { exitCode, stderr } = await cli("ports", "80-web-1", "--wait", "9", "--timeout", "10ms");
    expect([exitCode, stderr]).toEqual([125, expect.stringMatching(/port\/not-ready/)]);
    expect(JSON.parse((await cli("ports", "80-web-1", "--json")).stdout)).toEqual(await box.sandbox.ports.list());
  });
});

describe("plybox port-url and port-token", () => {
  it("make what lets a stranger in, until it is revoked", async () => {
    const url = (await cli("port-url", "80-web-1", "8080", "--path", "/in", "--method", "GET", "--json")).stdout;
    const { path } = JSON.parse(url);
    expect((await box.ask(path, { tcp: true })).status).toBe(200);

    const token = (await cli("port-token", "create", "80-web-1", "8080", "--expires", "1h")).stdout.trim();
    const headers = { "x-plybox-port-token": token };
    expect((await box.ask(box.path("/"), { tcp: true, headers })).status).toBe(200);
    const listed = (await cli("port-token", "ls", "80-web-1", "--json")).stdout;
    const [{ id }] = JSON.parse(listed);
    expect(listed).not.toContain(token);
    expect((await cli("port-token", "ls", "80-web-1")).stdout).toContain(id);
    expect((await cli("port-token", "revoke", "80-web-1", id)).stdout).toBe(`${id}\n`);
    expect((await box.ask(box.path("/"), { tcp: true, headers })).status).toBe(403);
    expect((await cli("port-token", "revoke", "80-web-1", id)).stderr).toMatch(/port\/token-not-found/);
  });
});
