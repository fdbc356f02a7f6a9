import { closeSync, existsSync, openSync, utimesSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { PlyboxError } from "../model/errors.ts";
import type { Digest, LayerName } from "../model/ids.ts";
import { parseDigest } from "../model/ids.ts";
import type { LayerFormat, LayerManifest } from "../model/layer.ts";
import { diskBytes } from "./disk-usage.ts";
import type { ImageBounds } from "./image-bounds.ts";
import { tooLarge } from "./image-bounds.ts";
import { ImageCheck } from "./image-check.ts";
import { parseManifest } from "./manifest.ts";
import { imagePath } from "./pack-image.ts";
import { readSuperblock } from "./superblock.ts";
import { digestTree } from "./tree-digest.ts";

const USED = "used";
const FORMATS: readonly LayerFormat[] = ["squashfs", "erofs", "dir"];

/**
 * What lies in `<store>/<digest>/` of each layer: `manifest.json`, an image or `tree/`, and whether they are still what
 * the digest says. Which layers there are, and who needs them, is the `Catalog`'s.
 */
export class StoredLayers {
  readonly bounds: ImageBounds;
  readonly #store: string;
  readonly #manifests = new Map<Digest, LayerManifest>();
  readonly #images = new ImageCheck();

  constructor(store: string, bounds: ImageBounds) {
    this.#store = store;
    this.bounds = bounds;
  }

  /** Every layer, whether or not it has a name. */
  async digests(): Promise<Digest[]> {
    const files = await readdir(this.#store);
    return files.map(digestOf).filter((digest) => digest !== undefined);
  }

  directory(digest: Digest): string {
    return join(this.#store, digest);
  }

  has(digest: Digest): boolean {
    return existsSync(join(this.#store, digest, "manifest.json"));
  }

  /**
   * A layer's manifest, under the name by which it was asked for.
   * @throws PlyboxError `layer/corrupt`
   */
  async manifest(digest: Digest, name?: LayerName): Promise<LayerManifest> {
    const known = this.#manifests.get(digest) ?? (await this.#readManifest(digest, name));
    this.#manifests.set(digest, known);
    return name === undefined || name === known.name ? known : { ...known, name };
  }

  async #readManifest(digest: Digest, name?: LayerName): Promise<LayerManifest> {
    try {
      const manifest = parseManifest(await readFile(join(this.directory(digest), "manifest.json"), "utf8"));
      if (manifest.digest !== digest) throw new Error("its manifest is of another layer");
      return manifest;
    } catch (cause) {
      const reason =
        (cause as NodeJS.ErrnoException).code === "ENOENT" ? "its manifest is missing" : (cause as Error).message;
      throw corrupt(name ?? digest, reason, cause);
    }
  }

  /**
   * Where a layer's files are, after checking them: an image against its digest and for what it says of itself, a tree
   * only for its presence, since nothing but reading all of it tells whether it changed.
   * @throws PlyboxError `layer/corrupt`, `layer/too-large`
   */
  async soundPath(manifest: LayerManifest): Promise<string> {
    const directory = this.directory(manifest.digest);
    if (manifest.format === "dir") {
      const tree = join(directory, "tree");
      if (!existsSync(tree)) throw corrupt(manifest.name, "its tree is missing");
      return tree;
    }
    const { format } = manifest;
    const problem = await this.#images.problem(directory, format, manifest);
    if (problem !== undefined) throw corrupt(manifest.name, problem);
    const image = imagePath(directory, format);
    // Its digest says that it is what was stored, not that whoever made it meant well.
    const superblock = await readSuperblock(image, format);
    if (typeof superblock === "string") throw corrupt(manifest.name, superblock);
    if (superblock.inodes > this.bounds.inodes) {
      throw tooLarge(manifest.name, `it has ${superblock.inodes} inodes, and ${this.bounds.inodes} are allowed`);
    }
    return image;
  }

  /** Reads all of a layer again. Throws `layer/corrupt`. */
  async verify(manifest: LayerManifest): Promise<void> {
    const directory = this.directory(manifest.digest);
    if (manifest.format !== "dir") await this.#images.forget(directory, manifest.digest);
    const path = await this.soundPath(manifest);
    if (manifest.format !== "dir") return;
    if ((await digestTree(path)).digest !== manifest.digest)
      throw corrupt(manifest.name, "its tree does not match its digest");
  }

  /** Whether the layer that is there under a digest is what its manifest says. Reads all of it. */
  async isSound(digest: Digest): Promise<boolean> {
    this.forget(digest);
    return await this.manifest(digest)
      .then((existing) => this.verify(existing))
      .then(
        () => true,
        () => false,
      );
  }

  /** A layer went, or another took its place. */
  forget(digest: Digest): void {
    this.#manifests.delete(digest);
  }

  /** Notes that a layer is used now, for whoever makes room later. */
  touch(digest: Digest): void {
    const stamp = join(this.directory(digest), USED);
    const now = new Date();
    try {
      closeSync(openSync(stamp, "a", 0o600));
      utimesSync(stamp, now, now);
    } catch {
      // The worst is that it is taken for older than it is.
    }
  }

  /** What a layer takes, and when it was last used; undefined when it is gone or no layer. */
  async measure(
    digest: Digest,
  ): Promise<{ readonly format: LayerFormat; readonly bytes: number; readonly lastUsedAt: Date } | undefined> {
    const directory = this.directory(digest);
    const [bytes, made, used] = await Promise.all([
      diskBytes(directory),
      stat(directory).catch(() => undefined),
      stat(join(directory, USED)).catch(() => undefined),
    ]);
    if (made === undefined) return undefined;
    const format = FORMATS.find((each) =>
      existsSync(each === "dir" ? join(directory, "tree") : imagePath(directory, each)),
    );
    return { format: format ?? "dir", bytes, lastUsedAt: (used ?? made).mtime };
  }
}

export function corrupt(layer: string, reason: string, cause?: unknown): PlyboxError {
  const message = `layer ${layer} is corrupt: ${reason}; build it again, or remove it`;
  return new PlyboxError("layer/corrupt", message, { cause });
}

function digestOf(file: string): Digest | undefined {
  try {
    return parseDigest(file);
  } catch {
    return undefined;
  }
}
