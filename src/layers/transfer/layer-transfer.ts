import { rm } from "node:fs/promises";
import { UndoStack } from "../../base/undo-stack.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { Digest } from "../../model/ids.ts";
import type { LayerManifest, LayerSignature } from "../../model/layer.ts";
import type { Catalog } from "../catalog.ts";
import { tooLarge } from "../image-bounds.ts";
import type { LayerLease } from "../layer-leases.ts";
import { stackOrder } from "../layer-names.ts";
import { manifestDigest } from "../signatures/canonical-manifest.ts";
import { parseSignatures } from "../signatures/signature.ts";
import type { SignaturePolicy } from "../signatures/signature-policy.ts";
import { requireTrust } from "../signatures/signature-policy.ts";
import type { SignedManifest } from "../signatures/signed-manifests.ts";
import { readSigned, withSignature, writeSigned } from "../signatures/signed-manifests.ts";
import type { Arrival } from "./intake.ts";
import { admit, takeIn } from "./intake.ts";
import { makeOciImage } from "./oci-image.ts";
import { readArchive } from "./read-archive.ts";
import type { ExportedLayer } from "./write-archive.ts";
import { writeArchive, writeLayout } from "./write-archive.ts";

/** What layers are written as: an artifact each, for other machines of ours, or together an image as container engines run it. */
export type ExportKind = "artifacts" | "image";

export interface ExportOptions {
  /** `artifacts` by default. */
  readonly as?: ExportKind;
  /** Also the layers that they were made on, and those that these were made on; `here` does without those that are gone. */
  readonly parents?: boolean | "here";
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
export interface Export extends AsyncDisposable {
  /** The file. Throws `layer/corrupt` in the middle, for an image that changes while it is read. */
  chunks(): AsyncGenerator<Buffer>;
}

/** With the digest that the signatures are over. */
export interface DigestedManifest extends SignedManifest {
  readonly manifestDigest: Digest;
}

/** Layers with their images, compared with their digests, that stay in the store until this is disposed of. */
interface Held extends Disposable {
  /** Those that others were made on come first. */
  readonly layers: readonly ExportedLayer[];
}

interface TransferOptions {
  readonly catalog: Catalog;
  readonly policy: SignaturePolicy;
  /** The layer that a name or a digest means. */
  readonly find: (layer: string) => Promise<LayerManifest>;
  /** Mounts layers. */
  readonly lease: (layers: readonly LayerManifest[]) => Promise<LayerLease>;
  /** Whether images are unpacked, so that what only root may make is missing. */
  readonly unpacks: boolean;
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
  async export(layers: readonly string[], { as = "artifacts", parents = false }: ExportOptions = {}): Promise<Export> {
    if (as === "image") return await this.#exportImage(layers, parents);
    const held = await this.hold(layers, parents);
    return { chunks: () => writeArchive(held.layers), [Symbol.asyncDispose]: async () => held[Symbol.dispose]() };
  }

  /** Layers as they are sent, which nobody takes away meanwhile. Throws as `export`. */
  async hold(layers: readonly string[], parents: ExportOptions["parents"]): Promise<Held> {
    const { catalog } = this.#options;
    const manifests = await this.#portable(layers, parents);
    for (const { digest } of manifests) catalog.pins.hold(digest);
    const release = (): void => {
      for (const { digest } of manifests) catalog.pins.drop(digest);
    };
    try {
      const held = await Promise.all(manifests.map((manifest) => this.#sound(manifest)));
      return { layers: held, [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #exportImage(layers: readonly string[], parents: ExportOptions["parents"]): Promise<Export> {
    const { catalog, lease, unpacks } = this.#options;
    if (unpacks) throw new PlyboxError("host/missing", "an image keeps owners and devices, which only root can read");
    const manifests = [...(await this.#portable(layers, parents))].sort((a, b) => stackOrder(a.name, b.name));
    await using undo = new UndoStack();
    const leased = await lease(manifests);
    undo.push("release the layers", () => leased.release());
    const staging = await catalog.stage();
    undo.push("remove what was packed", () => rm(staging, { recursive: true, force: true }));
    const mounted = leased.layers.map((manifest, i) => ({ manifest, path: leased.mounts[i]?.path ?? "" }));
    const image = await makeOciImage(mounted, staging, catalog.layers.bounds);
    const held = undo.move();
    const [name = ""] = layers;
    const chunks = (): AsyncGenerator<Buffer> =>
      writeLayout({ manifests: [{ name, blob: image.manifest }], configs: [image.config], files: image.layers });
    return { chunks, [Symbol.asyncDispose]: () => held[Symbol.asyncDispose]() };
  }

  /**
   * Takes in what `export` wrote, whole or not at all. Returns the layers, parents first.
   * @throws PlyboxError `file/bad-archive`, `layer/untrusted`, `layer/exists`, `layer/corrupt`, `layer/too-large`,
   * `layer/build-failed` where it cannot be written, `aborted`
   */
  async import(archive: AsyncIterable<Buffer>, options: ImportOptions = {}): Promise<readonly LayerManifest[]> {
    const { signal, onBytes } = options;
    const mostBytes = this.#options.catalog.layers.bounds.unpackedBytes;
    return await this.takeFrom((staging) => readArchive(archive, staging, { mostBytes, signal, onBytes }), options);
  }

  /**
   * Takes in layers whose images `fetch` puts into a directory of the store, whole or not at all.
   * @throws PlyboxError as `import`, and what `fetch` throws
   */
  async takeFrom(
    fetch: (staging: string) => Promise<readonly Arrival[]>,
    options: Pick<ImportOptions, "replace" | "requireSignature">,
  ): Promise<readonly LayerManifest[]> {
    const { catalog } = this.#options;
    const { replace = false, requireSignature = false } = options;
    await catalog.prepare();
    await catalog.sweepStaging();
    const staging = await catalog.stage();
    try {
      return await takeIn(catalog, await fetch(staging), { replace, policy: this.policy(requireSignature) });
    } catch (cause) {
      if (cause instanceof PlyboxError) throw cause;
      const { message, code } = cause as NodeJS.ErrnoException;
      const detail = { cause, ...(code !== undefined && { errno: code }) };
      throw new PlyboxError("layer/build-failed", `the layers could not be imported: ${message}`, detail);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }

  /** Whose signatures count here. */
  policy(requireSignature = false): SignaturePolicy {
    const { policy } = this.#options;
    return { ...policy, required: policy.required || requireSignature };
  }

  /**
   * Judges a layer by its manifest, before its image is fetched.
   * @throws PlyboxError `layer/untrusted`, `layer/too-large`, `input/invalid` for what no other machine can have
   */
  admit(signed: SignedManifest, requireSignature?: boolean): void {
    const { name, bytes } = signed.manifest;
    const most = this.#options.catalog.layers.bounds.unpackedBytes;
    admit(signed, this.policy(requireSignature));
    if (bytes > most) throw tooLarge(name, `its image has ${bytes} bytes, and ${most} are allowed`);
  }

  /** Whether a layer of this content is here, and undamaged. */
  async isSound(digest: Digest): Promise<boolean> {
    const { layers } = this.#options.catalog;
    if (!layers.has(digest)) return false;
    return await layers
      .manifest(digest)
      .then((manifest) => layers.soundPath(manifest))
      .then(
        () => true,
        () => false,
      );
  }

  /** Every layer that has a name and can leave this machine. */
  async named(): Promise<readonly LayerManifest[]> {
    const { catalog } = this.#options;
    const named = [...catalog.names.current()].map(([name, digest]) => catalog.layers.manifest(digest, name));
    return (await Promise.all(named)).filter(({ format }) => format !== "dir");
  }

  /** A layer's manifest as it is signed, and who signed it. Throws as `inspect` does. */
  async signed(layer: string): Promise<DigestedManifest> {
    return digested(await readSigned(this.#options.catalog.layers, await this.#options.find(layer)));
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
    const signed = withSignature(await readSigned(catalog.layers, manifest), signature);
    requireTrust({ ...policy, required: false }, signed.manifest, [signature]);
    await writeSigned(catalog.layers.directory(manifest.digest), signed);
    return digested(signed);
  }

  /**
   * The manifests that `layers` name, each once, those that it was made on before it, of which `here` leaves out what is
   * not in the store. What shows the machine's own files
   * stays: every machine has such a layer of its own.
   * @throws PlyboxError `input/invalid` for what shows this machine's own files, `layer/not-found`, `layer/corrupt`
   */
  async #portable(layers: readonly string[], parents: ExportOptions["parents"]): Promise<readonly LayerManifest[]> {
    const seen = new Set<Digest>();
    const found = new Map<Digest, LayerManifest>();
    const add = async (layer: string, isParent: boolean): Promise<void> => {
      const manifest = await this.#named(layer);
      // Nobody checks that what a manifest says of parents makes sense.
      if (seen.has(manifest.digest)) return;
      seen.add(manifest.digest);
      if (manifest.format === "dir") {
        if (isParent) return;
        const message = `layer ${manifest.name} shows this machine's own files: it stays here`;
        throw new PlyboxError("input/invalid", message, { field: "layers" });
      }
      for (const parent of parents ? manifest.parents : []) {
        if (parents !== "here" || this.#options.catalog.layers.has(parent)) await add(parent, true);
      }
      found.set(manifest.digest, manifest);
    };
    for (const layer of layers) await add(layer, false);
    return [...found.values()];
  }

  /** A layer that was asked for by its digest has a name that it was stored under, which may have gone since. */
  async #named(layer: string): Promise<LayerManifest> {
    const { catalog, find } = this.#options;
    const manifest = await find(layer);
    const names = [...catalog.names.current()].filter(([, digest]) => digest === manifest.digest);
    const [first] = names;
    const isCurrent = first === undefined || names.some(([name]) => name === manifest.name);
    return isCurrent ? manifest : await catalog.layers.manifest(manifest.digest, first[0]);
  }

  async #sound(manifest: LayerManifest): Promise<ExportedLayer> {
    const { catalog } = this.#options;
    return { signed: await readSigned(catalog.layers, manifest), image: await catalog.layers.soundPath(manifest) };
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
