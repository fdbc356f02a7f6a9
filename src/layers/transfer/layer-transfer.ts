import { rm } from "node:fs/promises";
import { PlyboxError } from "../../model/errors.ts";
import type { Digest } from "../../model/ids.ts";
import type { LayerManifest, LayerSignature } from "../../model/layer.ts";
import type { Catalog } from "../catalog.ts";
import { manifestDigest } from "../signatures/canonical-manifest.ts";
import { parseSignatures } from "../signatures/signature.ts";
import type { SignaturePolicy } from "../signatures/signature-policy.ts";
import { requireTrust } from "../signatures/signature-policy.ts";
import type { SignedManifest } from "../signatures/signed-manifests.ts";
import { readSigned, withSignature, writeSigned } from "../signatures/signed-manifests.ts";
import { takeIn } from "./intake.ts";
import { readArchive } from "./read-archive.ts";
import type { ExportedLayer } from "./write-archive.ts";
import { writeArchive } from "./write-archive.ts";

export interface ExportOptions {
  /** Also the layers that they were made on, and those that these were made on. */
  readonly parents?: boolean;
}

export interface ImportOptions {
  /** Take names from the layers that have them. */
  readonly replace?: boolean;
  /** Refuse what no trusted key has signed, also where the configuration does not. */
  readonly requireSignature?: boolean;
  readonly signal?: AbortSignal;
  /** Told how many bytes have come. */
  readonly onBytes?: (bytes: number) => void;
}

/** Layers that stay in the store until this is disposed of. */
export interface Export extends Disposable {
  /** The file. Throws `layer/corrupt` in the middle, for an image that changes while it is read. */
  chunks(): AsyncGenerator<Buffer>;
}

/** With the digest that the signatures are over. */
export interface DigestedManifest extends SignedManifest {
  readonly manifestDigest: Digest;
}

interface TransferOptions {
  readonly catalog: Catalog;
  readonly policy: SignaturePolicy;
  /** The layer that a name or a digest means. */
  readonly find: (layer: string) => Promise<LayerManifest>;
}

/** Layers on their way to other machines and from them, and who vouches for them. */
export class LayerTransfer {
  readonly #options: TransferOptions;

  constructor(options: TransferOptions) {
    this.#options = options;
  }

  /**
   * Layers as one file, docs/portability.md: their images are compared with their digests before the first byte.
   * @throws PlyboxError `layer/not-found`, `layer/corrupt`, `input/invalid` for what shows this machine's own files
   */
  async export(layers: readonly string[], { parents = false }: ExportOptions = {}): Promise<Export> {
    const { catalog } = this.#options;
    const manifests = await this.portable(layers, parents);
    for (const { digest } of manifests) catalog.pins.hold(digest);
    const release = (): void => {
      for (const { digest } of manifests) catalog.pins.drop(digest);
    };
    try {
      const exported = await Promise.all(manifests.map((manifest) => this.#sound(manifest)));
      return { chunks: () => writeArchive(exported), [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Takes in what `export` wrote, whole or not at all. Returns the layers, parents first.
   * @throws PlyboxError `file/bad-archive`, `layer/untrusted`, `layer/exists`, `layer/corrupt`, `layer/too-large`,
   * `layer/build-failed` where it cannot be written, `aborted`
   */
  async import(archive: AsyncIterable<Buffer>, options: ImportOptions = {}): Promise<readonly LayerManifest[]> {
    const { catalog, policy } = this.#options;
    const { replace = false, requireSignature = false, signal, onBytes } = options;
    await catalog.prepare();
    await catalog.sweepStaging();
    const staging = await catalog.stage();
    try {
      const arrivals = await readArchive(archive, staging, {
        mostBytes: catalog.bounds.unpackedBytes,
        signal,
        onBytes,
      });
      return await takeIn(catalog, arrivals, {
        replace,
        policy: { ...policy, required: policy.required || requireSignature },
      });
    } catch (cause) {
      if (cause instanceof PlyboxError) throw cause;
      const { message, code } = cause as NodeJS.ErrnoException;
      const detail = { cause, ...(code !== undefined && { errno: code }) };
      throw new PlyboxError("layer/build-failed", `the layers could not be imported: ${message}`, detail);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }

  /** A layer's manifest as it is signed, and who signed it. Throws as `inspect` does. */
  async signed(layer: string): Promise<DigestedManifest> {
    return digested(await readSigned(this.#options.catalog, await this.#options.find(layer)));
  }

  /**
   * Keeps a signature with a layer; it takes the place of one by the same key.
   * @throws PlyboxError `input/invalid` for one that is malformed, `layer/untrusted` for one of a trusted key that is of
   * something else, and as `inspect`
   */
  async addSignature(layer: string, signature: LayerSignature): Promise<DigestedManifest> {
    const { catalog, policy } = this.#options;
    requireWellFormed(signature);
    const manifest = await this.#options.find(layer);
    const signed = withSignature(await readSigned(catalog, manifest), signature);
    requireTrust({ ...policy, required: false }, signed.manifest, [signature]);
    await writeSigned(catalog.directory(manifest.digest), signed);
    return digested(signed);
  }

  /**
   * The manifests that `layers` name, each once, those that it was made on before it.
   * @throws PlyboxError `input/invalid` for what shows this machine's own files, `layer/not-found`, `layer/corrupt`
   */
  async portable(layers: readonly string[], parents: boolean): Promise<readonly LayerManifest[]> {
    const seen = new Set<Digest>();
    const found = new Map<Digest, LayerManifest>();
    const add = async (layer: string, of: LayerManifest | null): Promise<void> => {
      const manifest = await this.#named(layer);
      // Nobody checks that what a manifest says of parents makes sense.
      if (seen.has(manifest.digest)) return;
      seen.add(manifest.digest);
      if (manifest.format === "dir") {
        const made = of === null ? "" : `, and ${of.name} was made on it`;
        throw new PlyboxError(
          "input/invalid",
          `layer ${manifest.name} shows this machine's own files${made}: it stays here`,
          {
            field: "layers",
          },
        );
      }
      if (parents) for (const parent of manifest.parents) await add(parent, manifest);
      found.set(manifest.digest, manifest);
    };
    for (const layer of layers) await add(layer, null);
    return [...found.values()];
  }

  /** A layer that was asked for by its digest has a name that it was stored under, which may have gone since. */
  async #named(layer: string): Promise<LayerManifest> {
    const { catalog, find } = this.#options;
    const manifest = await find(layer);
    const names = [...catalog.names.current()].filter(([, digest]) => digest === manifest.digest);
    const [first] = names;
    const isCurrent = first === undefined || names.some(([name]) => name === manifest.name);
    return isCurrent ? manifest : await catalog.manifest(manifest.digest, first[0]);
  }

  async #sound(manifest: LayerManifest): Promise<ExportedLayer> {
    const { catalog } = this.#options;
    return { signed: await readSigned(catalog, manifest), image: await catalog.soundPath(manifest) };
  }
}

function requireWellFormed(signature: LayerSignature): void {
  try {
    parseSignatures([signature]);
  } catch (cause) {
    throw new PlyboxError("input/invalid", `the signature is refused: ${(cause as Error).message}`, { cause });
  }
}

const digested = (signed: SignedManifest): DigestedManifest => ({
  ...signed,
  manifestDigest: manifestDigest(signed.manifest),
});
