import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { openAccounts } from "../../src/access/accounts.ts";
import type { Access } from "../../src/api/access.ts";
import { bearerAccess, openAccess } from "../../src/api/access.ts";
import { createApiServer } from "../../src/api/api-server.ts";
import type { ApiOptions } from "../../src/api/create-api.ts";
import { createApi } from "../../src/api/create-api.ts";
import { createUpgrades } from "../../src/api/create-upgrades.ts";

interface Served extends AsyncDisposable {
  readonly socketPath: string;
  readonly port: number;
}

/** Serves an API on a Unix socket and on TCP. */
export async function serve(options: Omit<ApiOptions, "accounts">, token: string): Promise<Served> {
  const accounts = openAccounts(new Database(":memory:"));
  const directory = await mkdtemp(join(tmpdir(), "plybox-api-"));
  const socketPath = join(directory, "api.sock");
  const parts = { accounts, ...options };
  const api = createApi(parts);
  const upgrades = createUpgrades(parts);
  const listening = async (access: Access, where: object): Promise<Server> => {
    const server = createApiServer(api, upgrades, access);
    await new Promise<void>((resolve) => server.listen(where, resolve));
    return server;
  };
  const onUnix = await listening(openAccess(accounts.keys), { path: socketPath });
  const onTcp = await listening(bearerAccess(token, accounts.keys), { host: "127.0.0.1", port: 0 });
  return {
    socketPath,
    port: (onTcp.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
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
