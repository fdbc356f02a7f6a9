import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Access } from "../../src/api/access.ts";
import { bearerAccess, openAccess } from "../../src/api/access.ts";
import { createApiServer } from "../../src/api/api-server.ts";
import type { ApiOptions } from "../../src/api/create-api.ts";
import { createApi } from "../../src/api/create-api.ts";
import type { Layers } from "../../src/api/layer-handlers.ts";
import { PlyboxError } from "../../src/model/errors.ts";
import { parseDigest, parseLayerName } from "../../src/model/ids.ts";
import type { LayerManifest } from "../../src/model/layer.ts";
import { ProcessSandboxes } from "./process-sandboxes.ts";

/** What the contract tests talk to, and all that they know of it. */
export interface ApiSubject extends AsyncDisposable {
  readonly socketPath: string;
  /** On the loopback address. */
  readonly port: number;
  readonly token: string;
  /** A layer that no sandbox of the tests uses and that may be removed. */
  readonly spareLayer: string;
}

/** Starts the subject: the one place that says what it is. */
export async function startApi(): Promise<ApiSubject> {
  const layers = new MemoryLayers(["000-base", "900-spare"]);
  const token = "a-token-for-tests-only";
  const sandboxes = new ProcessSandboxes(layers.names());
  const served = await serve(
    {
      sandboxes,
      layers,
      version: "0.0.0-test",
      ready: () => [],
      log: silentLog,
    },
    token,
  );
  return {
    ...served,
    token,
    spareLayer: "900-spare",
    async [Symbol.asyncDispose]() {
      await Promise.all(sandboxes.list().map(({ id }) => sandboxes.remove(id)));
      await served[Symbol.asyncDispose]();
    },
  };
}

const silentLog = { error() {} };

interface Served extends AsyncDisposable {
  readonly socketPath: string;
  readonly port: number;
}

/** Serves an API on a Unix socket and on TCP. */
export async function serve(options: ApiOptions, token: string): Promise<Served> {
  const directory = await mkdtemp(join(tmpdir(), "plybox-api-"));
  const socketPath = join(directory, "api.sock");
  const api = createApi(options);
  const listening = async (access: Access, where: object): Promise<Server> => {
    const server = createApiServer(api, access);
    await new Promise<void>((resolve) => server.listen(where, resolve));
    return server;
  };
  const onUnix = await listening(openAccess, { path: socketPath });
  const onTcp = await listening(bearerAccess(token), { host: "127.0.0.1", port: 0 });
  return {
    socketPath,
    port: (onTcp.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      await Promise.all([closed(onUnix), closed(onTcp)]);
      await rm(directory, { recursive: true });
    },
  };
}

function closed(server: Server): Promise<unknown> {
  const done = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  return done;
}

class MemoryLayers implements Layers {
  readonly #manifests = new Map<string, LayerManifest>();

  constructor(names: readonly string[]) {
    for (const name of names) this.#manifests.set(name, manifestOf(name));
  }

  names(): readonly string[] {
    return [...this.#manifests.keys()];
  }

  async list(): Promise<readonly LayerManifest[]> {
    return [...this.#manifests.values()];
  }

  async inspect(name: string): Promise<LayerManifest> {
    const manifest = this.#manifests.get(name);
    if (manifest === undefined) throw new PlyboxError("layer/not-found", `no layer ${name}`, { field: "layer" });
    return manifest;
  }

  async remove(name: string): Promise<void> {
    await this.inspect(name);
    this.#manifests.delete(name);
  }
}

const manifestOf = (name: string): LayerManifest => ({
  name: parseLayerName(name),
  digest: parseDigest("0".repeat(64)),
  format: "squashfs",
  bytes: 4096,
  compression: { algorithm: "zstd", level: 15, blockBytes: 131_072 },
  createdAt: "2026-01-01T00:00:00.000Z",
  parents: [],
  provenance: { kind: "directory", source: "/srv/base" },
  binds: [],
});
