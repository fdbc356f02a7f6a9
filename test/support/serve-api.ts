import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Accounts } from "../../src/access/accounts.ts";
import { openAccounts } from "../../src/access/accounts.ts";
import { UrlSigner } from "../../src/access/signed-urls.ts";
import type { Access } from "../../src/api/access.ts";
import { bearerAccess, openAccess } from "../../src/api/access.ts";
import { createApiServer } from "../../src/api/api-server.ts";
import type { ApiOptions } from "../../src/api/create-api.ts";
import { createApi } from "../../src/api/create-api.ts";
import { createPortProxy } from "../../src/api/create-port-proxy.ts";
import { createUpgrades } from "../../src/api/create-upgrades.ts";
import { RightOfWay } from "../../src/api/right-of-way.ts";
import { EventLog } from "../../src/sandbox/events/event-log.ts";
import { Commands } from "../../src/sandbox/execs/commands.ts";
import { ExecHistory } from "../../src/sandbox/execs/exec-history.ts";
import type { SandboxCheckpoints } from "../../src/sandbox/sandbox-checkpoints.ts";
import type { SandboxLifecycle } from "../../src/sandbox/sandbox-lifecycle.ts";
import { Webhooks } from "../../src/sandbox/webhooks/webhooks.ts";

interface Served extends AsyncDisposable {
  readonly socketPath: string;
  readonly port: number;
  readonly accounts: Accounts;
  readonly events: EventLog;
}

/** Of what a test does not give, the rest is made here. */
export type ServeOptions = Omit<
  ApiOptions,
  | "accounts"
  | "commands"
  | "events"
  | "webhooks"
  | "metrics"
  | "lifecycle"
  | "checkpoints"
  | "composition"
  | "layers"
  | "builds"
  | "uppers"
  | "portAccess"
  | "transfer"
  | "remote"
  | "rightOfWay"
> &
  Partial<Pick<ApiOptions, "lifecycle" | "checkpoints" | "composition" | "layers" | "uppers" | "portAccess">>;

const unused = () => Promise.reject(new Error("not part of this test"));
const NO_LIFECYCLE: SandboxLifecycle = {
  ...{ pause: unused, resume: unused, stop: unused, start: unused, restart: unused },
  ...{ update: unused, waitReady: unused },
};
const refuse = (): never => {
  throw new Error("not part of this test");
};
const NO_CHECKPOINTS: SandboxCheckpoints = {
  ...{
    checkpoint: unused,
    compare: unused,
    fork: unused,
    forkPoint: unused,
    merge: unused,
    captureLayer: unused,
    restore: unused,
    undo: unused,
    drop: unused,
    pack: unused,
  },
  ...{ timeline: refuse, list: () => [], find: refuse, packed: () => null },
};

const NO_LAYERS: ApiOptions["layers"] = {
  ...{ list: unused, inspect: unused, warnings: unused, usage: unused, collect: unused, remove: unused },
  make: { fromTar: unused, fromImage: unused, preset: unused },
};
const NO_TRANSFER = { export: unused, import: unused, signed: unused, addSignature: unused };

/** Serves an API on a Unix socket and on TCP. */
export async function serve(options: ServeOptions, token: string): Promise<Served> {
  const database = new Database(":memory:");
  const accounts = openAccounts(database);
  const log = { warn() {} };
  const events = new EventLog({ database, log });
  const webhooks = new Webhooks({ database, events, log });
  const { sandboxes } = options;
  const agents = { announce() {} };
  const commands = new Commands({ sandboxes, agents, history: new ExecHistory(database), log });
  const directory = await mkdtemp(join(tmpdir(), "plybox-api-"));
  const socketPath = join(directory, "api.sock");
  const portAccess = { signer: new UrlSigner("a key of this test"), domain: null };
  const metrics = { contentType: "text/plain", text: unused };
  const remote = { push: unused, pull: unused, sync: unused };
  const unusedParts = {
    lifecycle: NO_LIFECYCLE,
    layers: NO_LAYERS,
    builds: { build: unused },
    uppers: { usage: () => ({ uppers: [], upperBytes: 0, packedBytes: 0, pools: [] }) },
    checkpoints: NO_CHECKPOINTS,
    composition: { activate: unused, deactivate: unused },
    transfer: NO_TRANSFER,
    remote,
    rightOfWay: new RightOfWay(),
  };
  const parts = { accounts, commands, events, webhooks, metrics, portAccess, ...unusedParts, ...options };
  const api = createApi(parts);
  const upgrades = createUpgrades(parts);
  const portProxy = createPortProxy(parts, upgrades);
  const listening = async (access: Access, where: object): Promise<Server> => {
    const server = createApiServer({ api, upgrades, portProxy }, access);
    await new Promise<void>((resolve) => server.listen(where, resolve));
    return server;
  };
  const onUnix = await listening(openAccess(accounts.keys), { path: socketPath });
  const onTcp = await listening(bearerAccess(token, accounts.keys), { host: "127.0.0.1", port: 0 });
  return {
    socketPath,
    port: (onTcp.address() as AddressInfo).port,
    accounts,
    events,
    async [Symbol.asyncDispose]() {
      await webhooks.close();
      await Promise.all([upgrades.close(0), closed(onUnix), closed(onTcp)]);
      await rm(directory, { recursive: true });
    },
  };
}

function closed(server: Server): Promise<unknown> {
  const done = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  return done;
}
