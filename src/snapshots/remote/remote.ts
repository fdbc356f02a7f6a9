import { rm } from "node:fs/promises";
import { join } from "node:path";
import { KeyedLock } from "../../base/keyed-lock.ts";
import { BUSYBOX_LAYER } from "../../layers/layer-builder.ts";
import { matchLayerName } from "../../layers/layer-names.ts";
import type { SignedManifest } from "../../layers/signatures/signed-manifests.ts";
import type { Arrival } from "../../layers/transfer/intake.ts";
import type { LayerTransfer } from "../../layers/transfer/layer-transfer.ts";
import { digestFile } from "../../layers/tree-digest.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { Digest, LayerName } from "../../model/ids.ts";
import { parseDigest } from "../../model/ids.ts";
import type { LayerManifest } from "../../model/layer.ts";
import type { MovedLayer, PullOptions, PushOptions, RemoteOptions, RemoteProgress } from "../../model/remote.ts";
import type { ObjectStore, OnBytes, TransferOptions } from "../object-store/object-store.ts";
import type { RemoteKeys } from "./remote-layout.ts";
import { remoteKeys } from "./remote-layout.ts";
import { RemoteManifests } from "./remote-manifests.ts";
import { RemoteNames } from "./remote-names.ts";

const DIGEST = /^[0-9a-f]{64}$/;
/** What a host did not go on with for so long, no host will. */
const STALE_MS = 7 * 24 * 60 * 60 * 1000;

/** That a few may stand on together: nobody checks what a bucket says of parents. */
const MOST_LAYERS = 1024;

/** A layer that is to come. */
interface Wanted {
  readonly digest: Digest;
  readonly name?: LayerName;
}

/**
 * Layers in object storage, shared by any number of hosts: content first, then what tells of it, and the name last, each
 * written where there is nothing yet. docs/portability.md has what lies where and what is promised.
 */
export class Remote {
  readonly #store: ObjectStore;
  readonly #transfer: LayerTransfer;
  readonly #keys: RemoteKeys;
  readonly #names: RemoteNames;
  readonly #manifests: RemoteManifests;
  readonly #fetching = new KeyedLock();

  constructor(store: ObjectStore, prefix: string, transfer: LayerTransfer) {
    this.#store = store;
    this.#transfer = transfer;
    this.#keys = remoteKeys(prefix);
    this.#names = new RemoteNames(store, this.#keys);
    this.#manifests = new RemoteManifests(store, this.#keys);
  }

  /**
   * Sends layers and, before them, those that they were made on. What is there already is not sent again.
   * @throws PlyboxError `layer/not-found`, `layer/corrupt`, `layer/exists` for a name that has other content there,
   * `remote/unreachable`, `remote/refused`, `aborted`
   */
  async push(layers: readonly string[], options: PushOptions = {}): Promise<readonly MovedLayer[]> {
    await this.#store.dropStaleUploads(this.#keys.images, STALE_MS, options);
    using held = await this.#transfer.hold(layers, "here");
    const moved: MovedLayer[] = [];
    for (const { signed, image } of held.layers) moved.push(await this.#pushOne(signed, image, options));
    return moved;
  }

  async #pushOne(signed: SignedManifest, image: string, options: PushOptions): Promise<MovedLayer> {
    const { name, digest, bytes } = signed.manifest;
    const key = this.#keys.image(digest);
    const isThere = (await this.#store.sizeOf(key, options)) === bytes;
    if (!isThere)
      await this.#store.upload(key, image, { ...options, onBytes: counter("push", signed.manifest, options) });
    await this.#manifests.write(signed, options);
    // What Plybox makes itself has another content on every machine, and its name there is nobody's.
    if (name !== BUSYBOX_LAYER && !(await this.#names.point(name, digest, options.replace ?? false, options))) {
      throw new PlyboxError("layer/exists", `layer ${name} exists in the object storage, with other content`, {
        field: "name",
      });
    }
    return { name, digest, bytes, outcome: isThere ? "present" : "pushed" };
  }

  /**
   * Fetches layers by name or digest, with those that they were made on as far as they are there.
   * @throws PlyboxError `layer/not-found`, `layer/exists` for a name that has other content here, `layer/untrusted`,
   * `layer/corrupt`, `layer/too-large`, `remote/unreachable`, `remote/refused`, `aborted`
   */
  async pull(layers: readonly string[], options: PullOptions = {}): Promise<readonly MovedLayer[]> {
    const wanted: Wanted[] = [];
    for (const layer of layers) wanted.push(await this.#resolve(layer, options));
    const found = await this.#closure(wanted, options);
    for (const { signed } of found) this.#transfer.admit(signed, options.requireSignature);
    const fetched = new Set<Digest>();
    const taken = await this.#transfer.takeFrom(async (staging) => {
      const arrivals: Arrival[] = [];
      for (const { signed, isParent } of found) {
        const { digest } = signed.manifest;
        const isHere = fetched.has(digest) || (await this.#transfer.isSound(digest));
        const image = isHere ? null : await this.#fetch(signed.manifest, join(staging, digest), options);
        if (image !== null) fetched.add(digest);
        arrivals.push({ signed, image, yieldsName: isParent });
      }
      return arrivals;
    }, options);
    return taken.map(({ name, digest, bytes }) => ({
      ...{ name, digest, bytes },
      outcome: fetched.has(digest) ? "pulled" : "present",
    }));
  }

  /** Pulls a layer that is not here. False where it is not there either. Several callers wait for one pull. */
  async fetchMissing(layer: string, isHere: () => boolean): Promise<boolean> {
    return await this.#fetching.run(layer, async () => {
      if (isHere()) return true;
      try {
        await this.pull([layer]);
        return true;
      } catch (error) {
        if (error instanceof PlyboxError && error.code === "layer/not-found") return false;
        throw error;
      }
    });
  }

  /**
   * Sends what has a name here and none there, and fetches what has a name there and none here. A name that has two
   * contents stays as it is on both sides and is told of.
   * @throws PlyboxError as `push` and `pull`
   */
  async sync(options: RemoteOptions = {}): Promise<readonly MovedLayer[]> {
    const there = await this.#names.all(options);
    const here = new Map((await this.#transfer.named()).map((manifest) => [manifest.name, manifest]));
    const moved: MovedLayer[] = [];
    for (const [name, { digest, bytes }] of here) {
      if (name === BUSYBOX_LAYER) continue;
      const sequence = there.get(name);
      if (sequence === undefined) moved.push(...(await this.push([name], options)));
      else {
        const isSame = (await this.#names.at(name, sequence, options)) === digest;
        moved.push({ name, digest, bytes, outcome: isSame ? "present" : "conflict" });
      }
    }
    const missing = [...there.keys()].filter((name) => !here.has(name));
    for (const name of missing) moved.push(...(await this.pull([name], options)));
    return onceEach(moved);
  }

  /** By its digest, its name, or the part of it after the number. */
  async #resolve(layer: string, options: TransferOptions): Promise<Wanted> {
    if (DIGEST.test(layer)) return { digest: parseDigest(layer) };
    const entries = await this.#names.all(options);
    const name = matchLayerName(layer, new Set(entries.keys()));
    return { name, digest: await this.#names.at(name, entries.get(name) ?? 0, options) };
  }

  /** What is wanted and what it was made on, which comes first. */
  async #closure(
    wanted: readonly Wanted[],
    options: PullOptions,
  ): Promise<readonly { readonly signed: SignedManifest; readonly isParent: boolean }[]> {
    const policy = this.#transfer.policy(options.requireSignature);
    const seen = new Set<string>();
    const found: { signed: SignedManifest; isParent: boolean }[] = [];
    const add = async ({ digest, name }: Wanted, isParent: boolean): Promise<void> => {
      if (seen.has(digest)) return;
      if (seen.add(digest).size > MOST_LAYERS) {
        throw new PlyboxError(
          "remote/refused",
          `the object storage: ${wanted.length} layers stand on more than ${MOST_LAYERS}`,
        );
      }
      const signed = await this.#manifests.read(digest, { ...options, policy, ...(name !== undefined && { name }) });
      if (signed === undefined) {
        // What shows its machine's own files is never sent, and may be a parent.
        if (isParent) return;
        throw new PlyboxError("layer/not-found", `there is no layer ${name ?? digest} in the object storage`);
      }
      for (const parent of signed.manifest.parents) await add({ digest: parent }, true);
      found.push({ signed, isParent });
    };
    // What was asked for has its name, also where it is a parent of another.
    for (const each of wanted) await add(each, false);
    return found;
  }

  async #fetch(manifest: LayerManifest, target: string, options: TransferOptions & RemoteOptions): Promise<string> {
    const { name, digest, bytes } = manifest;
    for (let isAgain = false; ; isAgain = true) {
      const onBytes = counter("pull", manifest, options);
      await this.#store.download(this.#keys.image(digest), bytes, target, { ...options, onBytes });
      if ((await digestFile(target)) === digest) return target;
      await rm(target);
      if (isAgain) {
        const message = `layer ${name} is corrupt: its image in the object storage does not match its digest`;
        throw new PlyboxError("layer/corrupt", message);
      }
    }
  }
}

function counter(step: RemoteProgress["step"], manifest: LayerManifest, { onProgress }: RemoteOptions): OnBytes {
  const { name: layer, bytes: totalBytes } = manifest;
  let doneBytes = 0;
  return (count) => {
    doneBytes = Math.min(doneBytes + count, totalBytes);
    onProgress?.({ step, layer, doneBytes, totalBytes });
  };
}

/** A layer that others were made on is told of once, by what happened to it first. */
function onceEach(moved: readonly MovedLayer[]): readonly MovedLayer[] {
  const first = new Map<string, MovedLayer>();
  for (const layer of moved) if (!first.has(layer.name)) first.set(layer.name, layer);
  return [...first.values()];
}
