import type { CheckpointList, CheckpointView, ForkPointBody, PackBody } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";
import type { Forks } from "./forks.ts";
import { makeForks } from "./forks.ts";
import { Sandbox } from "./sandbox.ts";

/** All checkpoints of the daemon, also of sandboxes that are gone. */
export class Checkpoints {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Oldest first. */
  async list(options?: CallOptions): Promise<readonly CheckpointView[]> {
    return (await this.#connection.json<CheckpointList>("GET", "/v1/checkpoints", undefined, options)).checkpoints;
  }

  async get(id: string, options?: CallOptions): Promise<CheckpointView> {
    return await this.#connection.json("GET", pathOf(id), undefined, options);
  }

  /** Makes sandboxes that begin with what the checkpoint holds. */
  async fork(id: string, { signal, ...body }: ForkPointBody & CallOptions = {}): Promise<Forks<Sandbox>> {
    const open = (view: Sandbox["view"]): Sandbox => new Sandbox(this.#connection, view);
    return await makeForks(this.#connection, { path: `${pathOf(id)}/fork`, body, open, signal });
  }

  /**
   * Packs it into a file, which makes room in its pool; it is unpacked when it is needed. With `whole` the file has all of
   * it, so that it outlives the pool.
   */
  async pack(id: string, { signal, ...body }: PackBody & CallOptions = {}): Promise<CheckpointView> {
    return await this.#connection.json("POST", `${pathOf(id)}/pack`, body, { ...(signal && { signal }) });
  }

  /** Removes it; what was made from it stays. */
  async remove(id: string, options?: CallOptions): Promise<void> {
    await this.#connection.json("DELETE", pathOf(id), undefined, options);
  }
}

const pathOf = (id: string): string => `/v1/checkpoints/${encodeURIComponent(id)}`;
