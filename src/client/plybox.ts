import type { CreateSandboxBody, HealthView, SandboxList, SandboxView, VersionView } from "../api/contract.ts";
import type { CallOptions } from "./connection.ts";
import { Connection } from "./connection.ts";
import { fetchTransport } from "./fetch-transport.ts";
import { Layers } from "./layers.ts";
import { Sandbox } from "./sandbox.ts";
import type { Transport } from "./transport.ts";
import { unixTransport } from "./unix-transport.ts";

/** Where the daemon is. With neither address: in Node its Unix socket, elsewhere the page's own origin. */
export interface PlyboxOptions {
  /** Such as `http://127.0.0.1:7070`; needs `token`. */
  readonly baseUrl?: string;
  /** `$PLYBOX_SOCKET` or `/run/plybox/plybox.sock` by default. */
  readonly socketPath?: string;
  readonly token?: string;
  /** Stands in for the global `fetch` with `baseUrl`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** What a sandbox is made of; every field has a default. */
export type CreateOptions = Omit<CreateSandboxBody, "layers"> & {
  /** Layer names, bottom first. */
  readonly layers?: readonly string[];
};

const DEFAULT_SOCKET = "/run/plybox/plybox.sock";

/**
 * A Plybox daemon. Every method throws `PlyboxApiError`, or the signal's reason when it is aborted.
 *
 * @example
 * const plybox = new Plybox();
 * await using sandbox = await plybox.create();
 * const { stdout } = await sandbox.exec(["python3", "-c", "print(6*7)"]);
 */
export class Plybox {
  readonly layers: Layers;
  readonly #connection: Connection;

  constructor(options: PlyboxOptions = {}) {
    this.#connection = new Connection(transportFor(options), options.token);
    this.layers = new Layers(this.#connection);
  }

  /** Creates a sandbox; resolves when it takes commands. */
  async create(spec: CreateOptions = {}, options?: CallOptions): Promise<Sandbox> {
    return new Sandbox(
      this.#connection,
      await this.#connection.json<SandboxView>("POST", "/v1/sandboxes", spec, options),
    );
  }

  async list(options?: CallOptions): Promise<readonly Sandbox[]> {
    const { sandboxes } = await this.#connection.json<SandboxList>("GET", "/v1/sandboxes", undefined, options);
    return sandboxes.map((view) => new Sandbox(this.#connection, view));
  }

  /** Finds a sandbox by id or name. */
  async get(ref: string, options?: CallOptions): Promise<Sandbox> {
    const path = `/v1/sandboxes/${encodeURIComponent(ref)}`;
    return new Sandbox(this.#connection, await this.#connection.json<SandboxView>("GET", path, undefined, options));
  }

  async health(options?: CallOptions): Promise<HealthView> {
    return await this.#connection.json("GET", "/v1/health", undefined, options);
  }

  async version(options?: CallOptions): Promise<VersionView> {
    return await this.#connection.json("GET", "/v1/version", undefined, options);
  }

  /** Drops idle connections. Nothing on the daemon ends. */
  close(): void {
    this.#connection.close();
  }
}

function transportFor({ baseUrl, socketPath, fetch }: PlyboxOptions): Transport {
  if (baseUrl !== undefined && socketPath !== undefined) throw new TypeError("give baseUrl or socketPath, not both");
  const { process } = globalThis as { process?: NodeJS.Process };
  const inNode = process?.versions?.node !== undefined;
  if (baseUrl !== undefined || (socketPath === undefined && !inNode)) {
    return fetchTransport(baseUrl ?? "", fetch ?? globalThis.fetch.bind(globalThis));
  }
  return unixTransport(socketPath ?? process?.env.PLYBOX_SOCKET ?? DEFAULT_SOCKET);
}
