import { readFileSync, statSync } from "node:fs";
import type { OutgoingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Grant } from "../../src/access/signed-urls.ts";
import { UrlSigner } from "../../src/access/signed-urls.ts";
import type { SandboxId } from "../../src/model/ids.ts";
import { DOMAIN, PortBox } from "../support/port-box.ts";

let box: PortBox;
let signer: UrlSigner;
beforeAll(async () => {
  box = await PortBox.start();
  signer = new UrlSigner(readFileSync(join(box.daemon.config.stateDir, "url-key"), "utf8").trim());
});
afterAll(() => box[Symbol.asyncDispose]());

const HOST = `8080-80-web-1.${DOMAIN}`;
const code = (body: string): string => JSON.parse(body).error?.code ?? "let in";
const sign = (changes: Partial<Grant> = {}): string =>
  signer.sign({
    ...{ sandbox: box.sandbox.id as SandboxId, port: 8080, path: "/", methods: ["GET"] },
    expiresAt: new Date(Date.now() + 3_600_000),
    ...changes,
  });
const newToken = async (port = 8080): Promise<string> => (await box.sandbox.ports.createToken({ port })).token;
/** Over TCP, as a stranger. */
const ask = async (path: string, headers: OutgoingHttpHeaders = {}, method = "GET") => {
  const { status, body, answer } = await box.ask(path, { tcp: true, headers, method });
  return { status, code: status < 300 ? "let in" : body === "" ? "" : code(body), answer, body };
};

describe("a stranger on TCP", () => {
  it.each([
    ["nothing", () => ({}), "auth/missing"],
    ["the daemon's token", () => ({ authorization: `Bearer ${box.token}` }), "let in"],
    ["a wrong token", () => ({ authorization: "Bearer wrong" }), "auth/refused"],
    ["the port's token", async () => ({ "x-plybox-port-token": await newToken() }), "let in"],
    ["another port's token", async () => ({ "x-plybox-port-token": await newToken(8082) }), "auth/refused"],
    [
      "a wrong port token",
      () => ({ "x-plybox-port-token": `plyport_${"0".repeat(16)}_${"A".repeat(43)}` }),
      "auth/refused",
    ],
    [
      "a wrong port token beside the daemon's",
      () => ({ "x-plybox-port-token": "wrong", authorization: `Bearer ${box.token}` }),
      "auth/refused",
    ],
  ])("with %s", async (_what, headers, expected) => {
    expect((await ask(box.path("/"), await headers())).code).toBe(expected);
  });

  it("reaches nothing but the port with its token", async () => {
    const headers = { "x-plybox-port-token": await newToken() };
    expect((await ask(box.path("/"), headers)).code).toBe("let in");
    for (const path of ["/v1/sandboxes", `/v1/sandboxes/${box.sandbox.id}/port-tokens`, box.path("/", 8082)]) {
      expect((await ask(path, headers)).code).toMatch(/^auth\//);
    }
    const { answer } = await box.upgrade(`/v1/sandboxes/${box.sandbox.id}/dial?port=8080`, { tcp: true, headers });
    expect(code(await text(answer))).toBe("auth/missing");
  });

  it("has a token for as long as the sandbox lives", async () => {
    const short = await box.daemon.client.create();
    const { token } = await short.ports.createToken({ port: 9 });
    const path = `/v1/sandboxes/${short.id}/ports/9/`;
    expect((await ask(path, { "x-plybox-port-token": token })).code).toBe("port/unreachable");
    await short.remove();
    expect((await ask(path, { "x-plybox-port-token": token })).code).toBe("auth/refused");
  });
});

describe("a signed address", () => {
  it("lets in, and its query does not", async () => {
    const { path } = await box.sandbox.ports.signUrl({ port: 8080, expiresInSeconds: 60, path: "/in" });
    const { body } = await ask(`${path}&mine=1`);
    expect(JSON.parse(body).url).toBe("/in?mine=1");
  });

  it.each<[string, string, () => string]>([
    ["control", "let in", () => box.path(`/in/x?plybox-token=${sign({ path: "/in" })}`)],
    ["expired", "auth/refused", () => box.path(`/?plybox-token=${sign({ expiresAt: new Date(Date.now() - 1000) })}`)],
    ["another path", "auth/refused", () => box.path(`/out?plybox-token=${sign({ path: "/in" })}`)],
    ["a path above", "auth/refused", () => box.path(`/in/../out?plybox-token=${sign({ path: "/in" })}`)],
    ["a path above, encoded", "auth/refused", () => box.path(`/in/%2e%2e/out?plybox-token=${sign({ path: "/in" })}`)],
    ["another method", "auth/refused", () => box.path(`/?plybox-token=${sign({ methods: ["POST"] })}`)],
    ["another port", "auth/refused", () => box.path(`/?plybox-token=${sign()}`, 8082)],
    [
      "another sandbox",
      "auth/refused",
      () => box.path(`/?plybox-token=${sign({ sandbox: `sb_${"0".repeat(26)}` as SandboxId })}`),
    ],
    ["a later end", "auth/refused", () => box.path(`/?plybox-token=9${sign()}`)],
    ["another MAC", "auth/refused", () => box.path(`/?plybox-token=${sign().slice(0, -2)}AA`)],
    ["a right one before a wrong one", "auth/refused", () => box.path(`/?plybox-token=${sign()}&plybox-token=wrong`)],
    ["a wrong one before a right one", "auth/refused", () => box.path(`/?plybox-token=wrong&plybox-token=${sign()}`)],
  ])("%s: %s", async (_what, expected, path) => {
    expect((await ask(path())).code).toBe(expected);
  });

  it("is signed with a key that only the daemon's user can read", () => {
    expect(statSync(join(box.daemon.config.stateDir, "url-key")).mode & 0o777).toBe(0o600);
  });
});

describe("what is the daemon's own does not reach the server inside", () => {
  const seen = async (options: { tcp?: boolean; headers: OutgoingHttpHeaders }, query = ""): Promise<string> =>
    (await box.ask(box.path(`/${query}`), options)).body;

  it("neither its token nor an API key, on either listener; any other authorization does", async () => {
    const { secret } = await box.daemon.client.keys.create({ name: "visitor", scopes: ["ports"] });
    const tenant = await box.daemon.client.keys.list();
    expect(tenant).toHaveLength(1);
    for (const tcp of [true, false]) {
      for (const own of [box.token, secret]) {
        const body = await seen({ tcp, headers: { authorization: `Bearer ${own}` } });
        expect(body).toContain("headers");
        expect(body).not.toContain(own);
      }
    }
    expect(await seen({ headers: { authorization: "Bearer mine" } })).toContain("Bearer mine");
    const headers = { "x-plybox-port-token": await newToken(), authorization: "Basic bWluZQ==" };
    expect(await seen({ tcp: true, headers })).toContain("Basic bWluZQ==");
  });

  it("nor a port token, wherever it is shown", async () => {
    const token = await newToken();
    for (const [headers, query] of [
      [{ "x-plybox-port-token": token }, ""],
      [{}, `?plybox-token=${token}&a=1`],
      [{ cookie: `plybox-token=${token}; a=1` }, ""],
    ] as const) {
      const body = await seen({ tcp: true, headers }, query);
      expect(body).toContain("headers");
      expect(body).not.toContain(token);
    }
    const { answer } = await box.upgrade(box.path("/ws"), {
      tcp: true,
      headers: { authorization: `Bearer ${box.token}` },
    });
    expect([answer.statusCode, answer.headers["x-authorization"]]).toEqual([101, "none"]);
  });
});

describe("an API key", () => {
  const reach = async (scopes: readonly ("ports" | "exec")[], tenant = "default") => {
    const { secret } = await box.daemon.client.keys.create({ name: "one", scopes: [...scopes], tenant });
    return (await ask(box.path("/"), { authorization: `Bearer ${secret}` })).code;
  };

  it("needs the scope ports, and reaches its own tenant's sandboxes alone", async () => {
    expect(await reach(["ports"])).toBe("let in");
    expect(await reach(["exec"])).toBe("auth/scope-missing");
    expect(await reach(["ports"], "strangers")).toBe("sandbox/not-found");
  });
});

describe("a host name", () => {
  const onUnix = (path: string, headers: OutgoingHttpHeaders = {}) =>
    box.ask(path, { headers: { host: HOST, ...headers } });

  it("leads to the port, never to the API, whatever the path", async () => {
    const { body } = await ask("/v1/sandboxes", { host: HOST, "x-plybox-port-token": await newToken() });
    expect(JSON.parse(body).url).toBe("/v1/sandboxes");
    // The control: the same request without that name.
    expect((await ask("/v1/sandboxes", { authorization: `Bearer ${box.token}` })).body).toContain("sandboxes");
  });

  it("lets nobody in for coming by the Unix socket, which a proxy may serve to the world", async () => {
    expect(code((await onUnix("/")).body)).toBe("auth/missing");
    expect((await onUnix("/", { authorization: `Bearer ${box.token}` })).status).toBe(200);
    expect((await onUnix("/", { authorization: "Bearer wrong" })).status).toBe(401);
  });

  it("keeps what was shown in a cookie and cleans the address", async () => {
    const token = await newToken();
    const { answer } = await ask(`/page?a=1&plybox-token=${token}`, { host: HOST });
    expect([answer.statusCode, answer.headers.location]).toEqual([302, "/page?a=1"]);
    const [cookie = ""] = answer.headers["set-cookie"] ?? [];
    expect(cookie).toMatch(/; Path=\/; HttpOnly; SameSite=Lax$/);
    const kept = { host: HOST, cookie: `mine=1; ${cookie.split(";", 1)[0]}` };
    const { body, status } = await ask("/asset", kept, "POST");
    expect(status).toBe(200);
    expect(body).toContain("mine=1");
    const { answer: upgraded } = await box.upgrade("/ws", { tcp: true, headers: kept });
    expect(upgraded.headers["x-url"]).toBe("/ws");
    const other = await ask("/", { ...kept, host: `8082-80-web-1.${DOMAIN}` });
    expect(other.code).toBe("auth/missing");
  });

  it("takes a signature for a WebSocket without going round by a cookie", async () => {
    const { answer } = await box.upgrade(`/ws?plybox-token=${sign()}`, { tcp: true, headers: { host: HOST } });
    expect([answer.statusCode, answer.headers["x-url"]]).toEqual([101, "/ws"]);
  });

  it("sends nobody to another host", async () => {
    const { status, answer } = await ask(`//evil.test/?plybox-token=${await newToken()}`, { host: HOST });
    expect([status, answer.headers.location]).toEqual([200, undefined]);
  });
});

describe("the way into a sandbox", () => {
  it("leads to no socket outside, by no link", async () => {
    const outside = box.daemon.config.socket;
    // The control: it is there, and whoever is outside gets through.
    expect((await box.daemon.client.health()).status).toBe("ok");
    await box.sandbox.exec(
      `ln -s ${outside} /root/direct; ln -s /proc/1/root${outside} /root/root; ln -s ../../../../../..${outside} /root/up`,
    );
    for (const path of ["/root/direct", "/root/root", "/root/up", outside, `/proc/1/root${outside}`, "/proc/1/fd/3"]) {
      await expect(box.sandbox.ports.dial({ socket: path })).rejects.toMatchObject({ code: "port/unreachable" });
    }
    // And a socket inside is reached by such links.
    await box.sandbox.exec("ln -s ../run/echo.sock /root/inside");
    const { close } = await box.sandbox.ports.dial({ socket: "/root/inside" });
    close();
  });

  it("stays with the one request of a client that wanted another protocol and was refused", async () => {
    const answers = async (second: string): Promise<number> => {
      const socket = connect(box.daemon.config.socket);
      const upgrade = "connection: Upgrade\r\nupgrade: echo\r\n";
      socket.write(`GET ${box.path("/refuse")} HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n${second}`);
      return (await text(socket)).split("HTTP/1.1 ").length - 1;
    };
    expect(await answers("")).toBe(1);
    expect(await answers("GET /secret HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).toBe(1);
  });

  it("takes no body before another protocol, behind which a second request could hide", async () => {
    const headers = { "content-length": "5" };
    const { answer } = await box.upgrade(box.path("/ws"), { headers });
    expect(code(await text(answer))).toBe("input/invalid");
  });
});
