import type { AuditList, CreateSandboxBody, EventList, HealthView, SandboxView, VersionView } from "../api/contract.ts";
import type { SeccompProfile, SeccompProfileName } from "../model/seccomp.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { CallOptions } from "./connection.ts";
import { Connection } from "./connection.ts";
import { defaultSocket } from "./default-socket.ts";
import type { EventItem, FollowOptions, ReadOptions } from "./events.ts";
import { followEvents, readEvents } from "./events.ts";
import { fetchTransport } from "./fetch-transport.ts";
import { Keys } from "./keys.ts";
import { Layers } from "./layers.ts";
import type { ListOptions, PageOptions } from "./list-sandboxes.ts";
import { eachSandbox, listPage } from "./list-sandboxes.ts";
import { Remote } from "./remote.ts";
import { Sandbox } from "./sandbox.ts";
import { Storage } from "./storage.ts";
import { Tenants } from "./tenants.ts";
import type { Transport } from "./transport.ts";
import { unixTransport } from "./unix-transport.ts";
import type { Usage, WatchUsageOptions } from "./usage.ts";
import { usageOfAll, watchUsageOfAll } from "./usage.ts";
import { Webhooks } from "./webhooks.ts";

/** Where the daemon is. With neither address: in Node its Unix socket, elsewhere the page's own origin. */
export interface PlyboxOptions {
  /** Such as `http://127.0.0.1:7070`; needs `token`. */
  readonly baseUrl?: string;
  /**
   * By default `$PLYBOX_SOCKET`, or `plybox.sock` in `$PLYBOX_RUN_DIR`; else `/run/plybox/plybox.sock` for root, and for
   * another user that of the user's own daemon, below `$XDG_RUNTIME_DIR`.
   */
  readonly socketPath?: string;
  readonly token?: string;
  /** Stands in for the global `fetch` with `baseUrl`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** What a sandbox is made of; every field has a default. */
export type CreateOptions = Omit<CreateSandboxBody, "layers" | "seccomp"> & {
  /** Layer names, bottom first. */
  readonly layers?: readonly string[];
  /** A profile by name, or one in the OCI format; `default` by default. */
  readonly seccomp?: SeccompProfileName | SeccompProfile;
};

/** Which audit entries are asked for: at most `limit` (100), older than the entry `before`. */
export interface AuditQuery {
  readonly before?: number;
  readonly limit?: number;
  /** Of this tenant alone; only for the operator. */
  readonly tenant?: string;
  /** About the sandbox of this id alone. */
  readonly sandbox?: string;
}

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
  readonly checkpoints: Checkpoints;
  readonly storage: Storage;
  readonly remote: Remote;
  readonly keys: Keys;
  readonly tenants: Tenants;
  readonly webhooks: Webhooks;
  readonly #connection: Connection;

  constructor(options: PlyboxOptions = {}) {
    this.#connection = new Connection(transportFor(options), options.token);
    this.layers = new Layers(this.#connection);
    this.checkpoints = new Checkpoints(this.#connection);
    this.storage = new Storage(this.#connection);
    this.remote = new Remote(this.#connection);
    this.keys = new Keys(this.#connection);
    this.tenants = new Tenants(this.#connection);
    this.webhooks = new Webhooks(this.#connection);
  }

  /** Creates a sandbox; resolves when it takes commands. */
  async create(spec: CreateOptions = {}, options?: CallOptions): Promise<Sandbox> {
    return new Sandbox(
      this.#connection,
      await this.#connection.json<SandboxView>("POST", "/v1/sandboxes", spec, options),
    );
  }

  /** All sandboxes that the filter lets through, oldest first. */
  async list(options?: ListOptions): Promise<readonly Sandbox[]> {
    const found: Sandbox[] = [];
    for await (const sandbox of this.each(options)) found.push(sandbox);
    return found;
  }

  /** The same one after the other, for a long list: `for await (const sandbox of plybox.each())`. */
  async *each(options?: ListOptions): AsyncGenerator<Sandbox, void, undefined> {
    for await (const view of eachSandbox(this.#connection, options)) yield new Sandbox(this.#connection, view);
  }

  /** One page of them; `next` is what `after` of the next one is, null where this is the last. */
  async page(options?: PageOptions): Promise<{ readonly sandboxes: readonly Sandbox[]; readonly next: string | null }> {
    const { sandboxes, next } = await listPage(this.#connection, options);
    return { sandboxes: sandboxes.map((view) => new Sandbox(this.#connection, view)), next };
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

  /** Requests that changed something, or were to; newest first. */
  async audit(query: AuditQuery = {}, options?: CallOptions): Promise<AuditList["entries"]> {
    const search = new URLSearchParams(
      Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
    );
    const path = search.size === 0 ? "/v1/audit" : `/v1/audit?${search}`;
    return (await this.#connection.json<AuditList>("GET", path, undefined, options)).entries;
  }

  /** What each sandbox takes from the machine now. */
  async usage(options?: CallOptions): Promise<readonly Usage[]> {
    return await usageOfAll(this.#connection, options);
  }

  /** What each sandbox takes, again and again; `cores` is what is in use between one answer and the next. */
  watchUsage(options?: WatchUsageOptions): AsyncGenerator<readonly Usage[], void, undefined> {
    return watchUsageOfAll(this.#connection, options);
  }

  /** What happens to the sandboxes, as it happens: `for await (const event of plybox.events())`. It never ends. */
  events(options?: FollowOptions): AsyncGenerator<EventItem, void, undefined> {
    return followEvents(this.#connection, options);
  }

  /** What has happened and is still kept. */
  async pastEvents(options?: ReadOptions): Promise<EventList> {
    return await readEvents(this.#connection, options);
  }

  /** Drops idle connections. Nothing on the daemon ends. */
  close(): void {
    this.#connection.close();
  }
}

function transportFor({ baseUrl, socketPath, fetch }: PlyboxOptions): Transport {
  if (baseUrl !== undefined && socketPath !== undefined) throw new TypeError("give baseUrl or socketPath, not both");
  const { process } = globalThis as { process?: NodeJS.Process };
  const node = process?.versions?.node === undefined ? undefined : process;
  const path =
    socketPath ?? (node && baseUrl === undefined ? defaultSocket(node.env, node.getuid?.() ?? 0) : undefined);
  if (path !== undefined) return unixTransport(path);
  return fetchTransport(baseUrl ?? "", fetch ?? globalThis.fetch.bind(globalThis));
}
