import { parseManifest } from "../../layers/manifest.ts";
import { canonicalManifest } from "../../layers/signatures/canonical-manifest.ts";
import { keyIdOf } from "../../layers/signatures/keys.ts";
import type { SignaturePolicy } from "../../layers/signatures/signature-policy.ts";
import type { SignedManifest } from "../../layers/signatures/signed-manifests.ts";
import { formatSigned, parseSigned } from "../../layers/signatures/signed-manifests.ts";
import type { Digest, LayerName } from "../../model/ids.ts";
import type { ObjectStore, TransferOptions } from "../object-store/object-store.ts";
import type { RemoteKeys } from "./remote-layout.ts";
import { damaged } from "./remote-layout.ts";

const MOST_MANIFEST_BYTES = 1024 * 1024;

/** Manifests and signatures in a bucket. Whoever writes one first is right: they lie under the digest of what they tell of. */
export class RemoteManifests {
  readonly #store: ObjectStore;
  readonly #keys: RemoteKeys;

  constructor(store: ObjectStore, keys: RemoteKeys) {
    this.#store = store;
    this.#keys = keys;
  }

  async write({ manifest, signatures }: SignedManifest, options: TransferOptions): Promise<void> {
    const { digest, name } = manifest;
    await this.#store.putIfAbsent(this.#keys.manifest(digest), Buffer.from(canonicalManifest(manifest)), options);
    for (const signature of signatures) {
      const signed = Buffer.from(formatSigned({ manifest, signatures: [signature] }));
      await this.#store.putIfAbsent(this.#keys.signature(digest, name, signature.keyId), signed, options);
    }
  }

  /**
   * A layer's manifest, with the signatures of trusted keys; others are not looked for. Under `name` where it was asked
   * for by one. Undefined where there is none.
   * @throws PlyboxError `remote/refused` for what is damaged
   */
  async read(
    digest: Digest,
    { name, policy, ...options }: TransferOptions & { readonly name?: LayerName; readonly policy: SignaturePolicy },
  ): Promise<SignedManifest | undefined> {
    const key = this.#keys.manifest(digest);
    const bytes = await this.#store.read(key, MOST_MANIFEST_BYTES, options);
    if (bytes === undefined) return undefined;
    const manifest = parsed(key, () => parseManifest(bytes.toString()));
    if (manifest.digest !== digest) throw damaged(key, new Error("it is of another layer"));
    const plain: SignedManifest = { manifest: { ...manifest, name: name ?? manifest.name }, signatures: [] };
    let signed: SignedManifest | undefined;
    for (const trusted of policy.trusted) {
      const found = await this.#signedBy(keyIdOf(trusted), plain, options);
      if (found === undefined) continue;
      signed ??= { manifest: found.manifest, signatures: [] };
      if (canonicalManifest(found.manifest) !== canonicalManifest(signed.manifest)) continue;
      signed = { ...signed, signatures: [...signed.signatures, ...found.signatures] };
    }
    return signed ?? plain;
  }

  async #signedBy(
    keyId: string,
    { manifest: { digest, name } }: SignedManifest,
    options: TransferOptions,
  ): Promise<SignedManifest | undefined> {
    const key = this.#keys.signature(digest, name, keyId);
    const bytes = await this.#store.read(key, MOST_MANIFEST_BYTES, options);
    if (bytes === undefined) return undefined;
    const signed = parsed(key, () => parseSigned(bytes.toString()));
    if (signed.manifest.digest !== digest || signed.manifest.name !== name) {
      throw damaged(key, new Error("it is of another layer"));
    }
    return signed;
  }
}

function parsed<T>(key: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw damaged(key, cause);
  }
}
