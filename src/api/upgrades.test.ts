import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import Database from "better-sqlite3";
import { afterEach, expect, it } from "vitest";
import { openAccounts } from "../access/accounts.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ObservedRequest, RequestObserver } from "../model/request-observer.ts";
import { bearerAccess } from "./access.ts";
import { Gate } from "./gate.ts";
import type { UpgradeRoute } from "./upgrades.ts";
import { Upgrades } from "./upgrades.ts";

const TOKEN = "right";
const servers: { close(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const ECHO: UpgradeRoute = {
  action: "echo",
  path: "/v1/tenants/:word",
  handle({ params, query, socket, head }) {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n`);
    socket.write(`${params.word} ${query.get("q")} `);
    socket.write(head);
    socket.pipe(socket);
  },
};

const FAIL: UpgradeRoute = {
  action: "fail",
  path: "/v1/webhooks/:ref",
  handle: () => Promise.reject(new PlyboxError("sandbox/not-found", "not there")),
};

async function serve(observers: readonly RequestObserver[] = []) {
  const accounts = openAccounts(new Database(":memory:"));
  const gate = new Gate(accounts, {
    get: (ref) => {
      throw new PlyboxError("sandbox/not-found", `no ${ref}`);
    },
  });
  const fail = (error: unknown) => (error instanceof PlyboxError ? error : new PlyboxError("internal", String(error)));
  const upgrades = new Upgrades({ gate, routes: [ECHO, FAIL], fail, observers });
  const server = createServer((_incoming, outgoing) => outgoing.end("plain"));
  const access = bearerAccess(TOKEN, accounts.keys);
  server.on("upgrade", (incoming, socket, head) => void upgrades.serve(incoming, socket, head, access));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  const ask = (path: string, { token = TOKEN, more = "" } = {}): Socket => {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const authorization = token === "" ? "" : `authorization: Bearer ${token}\r\n`;
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n${authorization}\r\n${more}`,
    );
    return socket;
  };
  return { server, upgrades, ask };
}

it("hands over the connection with what the client sent early", async () => {
  const { ask } = await serve();
  const socket = ask("/v1/tenants/a%2Fb?q=%C3%A4", { more: "early" });
  socket.end(" and late");
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\na\/b ä early and late$/);
});

it.each([
  ["without a token", "/v1/tenants/a", "", "401 auth/missing"],
  ["with a wrong token", "/v1/tenants/a", "wrong", "403 auth/refused"],
  ["to what is not there, without a token", "/v1/nothing", "", "401 auth/missing"],
  ["to what is not there", "/v1/nothing", TOKEN, "404 route/not-found"],
  ["with broken percent-encoding", "/v1/tenants/%zz", TOKEN, "400 input/invalid"],
  ["to a sandbox that is not there", "/v1/webhooks/a", TOKEN, "404 sandbox/not-found"],
])("answers a request %s in the usual JSON", async (_what, path, token, expected) => {
  const { ask } = await serve();
  const [head = "", body = ""] = (await text(ask(path, { token }))).split("\r\n\r\n");
  expect(`${head.split(" ")[1]} ${JSON.parse(body).error.code}`).toBe(expected);
});

it("is watched by observers, until it has left HTTP", async () => {
  const seen: string[] = [];
  const begin = ({ operation, method, path, header }: ObservedRequest) => ({
    run: <T>(work: () => T) => work(),
    end: (result: object) => void seen.push(JSON.stringify([operation, method, path, header("upgrade"), result])),
  });
  const { ask } = await serve([{ begin }]);
  const socket = ask("/v1/tenants/a?q=1");
  socket.end();
  await text(socket);
  await text(ask("/v1/webhooks/a"));
  expect(seen).toEqual([
    '["echo","GET","/v1/tenants/:word","echo",{"tenant":"default","status":101}]',
    '["fail","GET","/v1/webhooks/:ref","echo",{"status":404,"code":"sandbox/not-found"}]',
  ]);
});

it("ends what is open when it closes, and takes nothing new", async () => {
  const { ask, upgrades, server } = await serve();
  const open = ask("/v1/tenants/a?q=1");
  await once(open, "data");
  const late = ask("/v1/tenants/a");
  await once(late, "connect");
  const closed = upgrades.close(60_000);
  open.resume();
  open.on("end", () => open.end());
  expect(await text(late)).toContain("daemon/stopping");
  await closed;
  server.close();
  await once(server, "close");
});

it("does not wait for a client that never hangs up", async () => {
  const { ask, upgrades } = await serve();
  const open = ask("/v1/tenants/a?q=1");
  open.on("error", () => {});
  open.allowHalfOpen = true;
  await once(open, "data");
  await upgrades.close(1);
  open.destroy();
});
