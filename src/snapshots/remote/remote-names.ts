import { PlyboxError } from "../../model/errors.ts";
import type { Digest, LayerName } from "../../model/ids.ts";
import type { ObjectStore, TransferOptions } from "../object-store/object-store.ts";
import type { RemoteKeys } from "./remote-layout.ts";
import { formatNameEntry, parseNameEntry } from "./remote-layout.ts";

const MOST_ENTRY_BYTES = 4096;

/** The newest entry of a name. */
interface Entry {
  readonly sequence: number;
  readonly digest: Digest;
}

/** What names mean in a bucket. Each change adds an entry where there is none yet, so that of two hosts one finds it taken. */
export class RemoteNames {
  readonly #store: ObjectStore;
  readonly #keys: RemoteKeys;

  constructor(store: ObjectStore, keys: RemoteKeys) {
    this.#store = store;
    this.#keys = keys;
  }

  /** The newest entry of every name. */
  async all(options: TransferOptions): Promise<ReadonlyMap<LayerName, number>> {
    const newest = new Map<LayerName, number>();
    for await (const key of this.#store.list(this.#keys.names, options)) {
      const entry = this.#keys.parseNameEntry(key);
      if (entry !== undefined) newest.set(entry.name, Math.max(entry.sequence, newest.get(entry.name) ?? 0));
    }
    return newest;
  }

  /** Which layer a name means; undefined where it means none. */
  async find(name: LayerName, options: TransferOptions): Promise<Digest | undefined> {
    return (await this.#newest(name, options))?.digest;
  }

  async at(name: LayerName, sequence: number, options: TransferOptions): Promise<Digest> {
    const key = this.#keys.nameEntry(name, sequence);
    const bytes = await this.#store.read(key, MOST_ENTRY_BYTES, options);
    if (bytes === undefined) throw new PlyboxError("layer/not-found", `${key} went away from the object storage`);
    return parseNameEntry(key, bytes);
  }

  /**
   * Lets a name mean a layer. Returns false where it means another one and that is not to be replaced, or somebody
   * else replaced it just now.
   */
  async point(name: LayerName, digest: Digest, replace: boolean, options: TransferOptions): Promise<boolean> {
    const newest = await this.#newest(name, options);
    if (newest?.digest === digest) return true;
    if (newest !== undefined && !replace) return false;
    const key = this.#keys.nameEntry(name, (newest?.sequence ?? 0) + 1);
    return parseNameEntry(key, await this.#store.putIfAbsent(key, formatNameEntry(digest), options)) === digest;
  }

  async #newest(name: LayerName, options: TransferOptions): Promise<Entry | undefined> {
    let sequence = 0;
    for await (const key of this.#store.list(this.#keys.nameEntries(name), options)) {
      sequence = Math.max(sequence, this.#keys.parseNameEntry(key)?.sequence ?? 0);
    }
    return sequence === 0 ? undefined : { sequence, digest: await this.at(name, sequence, options) };
  }
}
