import { closeSync, existsSync, openSync, utimesSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PlyboxError } from "../model/errors.ts";
import type { Digest, LayerName } from "../model/ids.ts";
import { parseDigest } from "../model/ids.ts";
import type { LayerFormat, LayerManifest } from "../model/layer.ts";
import { diskBytes } from "./disk-usage.ts";
import type { ImageBounds } from "./image-bounds.ts";
import { IMAGE_BOUNDS, tooLarge } from "./image-bounds.ts";
import { ImageCheck } from "./image-check.ts";
import { isMakerAlive, newMakerMark } from "./maker-mark.ts";
import { formatManifest, parseManifest } from "./manifest.ts";
import { NameIndex } from "./name-index.ts";
import { imagePath } from "./pack-image.ts";
import { Pins } from "./pins.ts";
import { StepIndex } from "./step-index.ts";
import { readSuperblock } from "./superblock.ts";
import { digestTree } from "./tree-digest.ts";

const STAGING = ".new.";
const DISCARDED = ".old.";
const USED = "used";
const FORMATS: readonly LayerFormat[] = ["squashfs", "erofs", "dir"];

/** Whether a sandbox stands on a layer that no living process may have pinned, such as a stopped one. */
export type StandingCheck = (digest: Digest) => Promise<boolean>;

/**
 * The layers on disk: `<store>/<digest>/` with `manifest.json` and an image or `tree/`, `<store>/names/` and
 * `<store>/pins/`. A layer appears and disappears by one rename, so nobody ever sees half of one; what a killed
 * process leaves has its mark in its name and is swept.
 */
export class Catalog {
  readonly names: NameIndex;
  readonly steps: StepIndex;
  readonly pins: Pins;
  readonly bounds: ImageBounds;
  /** The directory that all of it is in. */
  readonly store: string;
  readonly #isStoodOn: StandingCheck;
  readonly #manifests = new Map<Digest, LayerManifest>();
  readonly #images = new ImageCheck();

  constructor(store: string, bounds: ImageBounds = IMAGE_BOUNDS, isStoodOn: StandingCheck = async () => false) {
    this.store = store;
    this.#isStoodOn = isStoodOn;
    this.bounds = bounds;
    this.names = new NameIndex(join(store, "names"));
    this.steps = new StepIndex(join(store, "steps"));
    this.pins = new Pins(join(store, "pins"));
  }

  async prepare(): Promise<void> {
    await mkdir(this.store, { recursive: true, mode: 0o700 });
    this.names.prepare();
    await this.pins.prepare();
  }

  directory(digest: Digest): string {
    return join(this.store, digest);
  }

  has(digest: Digest): boolean {
    return existsSync(join(this.store, digest, "manifest.json"));
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

  /** A new private directory in the store, where a layer is made before it is installed. */
  async stage(): Promise<string> {
    const staging = join(this.store, `${STAGING}${newMakerMark()}`);
    await mkdir(staging, { mode: 0o700 });
    return staging;
  }

  /**
   * Makes a staged layer visible under its digest, durably. Where it is already, the staged one is thrown away, or
   * takes its place when that one is damaged. The caller holds a pin on the digest.
   */
  async install(staging: string, manifest: LayerManifest): Promise<void> {
    await writeFile(join(staging, "manifest.json"), formatManifest(manifest), { mode: 0o600 });
    for (const file of await readdir(staging, { withFileTypes: true })) {
      if (file.isFile()) await sync(join(staging, file.name));
    }
    await sync(staging);
    const target = this.directory(manifest.digest);
    while (!(await moveTo(staging, target))) {
      if (await this.#isSound(manifest)) return await remove(staging);
      const damaged = await this.#moveAside(manifest.digest);
      if (damaged !== undefined) await remove(damaged);
    }
    this.#manifests.delete(manifest.digest);
    await sync(this.store);
  }

  async #isSound(manifest: LayerManifest): Promise<boolean> {
    this.#manifests.delete(manifest.digest);
    return await this.manifest(manifest.digest)
      .then((existing) => this.verify(existing))
      .then(
        () => true,
        () => false,
      );
  }

  isStoodOn(digest: Digest): Promise<boolean> {
    return this.#isStoodOn(digest);
  }

  /** Removes a layer that nobody stands on. Returns false, changing nothing, when somebody does. */
  async #discard(digest: Digest): Promise<boolean> {
    if (this.pins.isHeld(digest) || (await this.#isStoodOn(digest))) return false;
    const discarded = await this.#moveAside(digest);
    if (discarded === undefined) return true;
    // Who needs a layer pins it, then looks whether it is there: asking again after the rename leaves no gap.
    if (this.pins.isHeld(digest)) {
      await rename(discarded, this.directory(digest));
      return false;
    }
    this.#manifests.delete(digest);
    await remove(discarded);
    return true;
  }

  /** Removes a name, and the layer when that was its last one. Returns false, changing nothing, when it is pinned. */
  async removeName(name: LayerName, digest: Digest): Promise<boolean> {
    return await this.removeNames([name], digest);
  }

  /** As `removeName`, of several at once. */
  async removeNames(names: readonly LayerName[], digest: Digest): Promise<boolean> {
    if (this.pins.isHeld(digest) || (await this.#isStoodOn(digest))) return false;
    for (const name of names) this.names.release(name);
    const keys = this.steps.release(digest);
    if (await this.discardUnnamed(digest)) return true;
    for (const name of names) this.names.point(name, digest);
    for (const key of keys) this.steps.point(key, digest);
    return false;
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

  /** Every layer, whether or not it has a name. */
  async digests(): Promise<Digest[]> {
    const files = await readdir(this.store);
    return files.map(digestOf).filter((digest) => digest !== undefined);
  }

  /** What killed processes left half made. */
  async leftovers(): Promise<readonly { readonly file: string; readonly bytes: number }[]> {
    const files = (await readdir(this.store)).filter(isLeftover);
    return await Promise.all(files.map(async (file) => ({ file, bytes: await diskBytes(join(this.store, file)) })));
  }

  /**
   * Removes a layer that has no name and that no other was made on. Returns false when it is pinned; one that stays for
   * those reasons is no failure.
   */
  async discardUnnamed(digest: Digest): Promise<boolean> {
    if (this.#isNamed(digest) || (await this.#isParent(digest))) return true;
    // Asked again: who builds drops the pin as soon as there is a name, so nothing may be waited for between the two.
    return this.#isNamed(digest) || (await this.#discard(digest));
  }

  /** A step of a build is as good as named. */
  #isNamed(digest: Digest): boolean {
    return [...this.names.current().values()].includes(digest) || this.steps.has(digest);
  }

  async #isParent(digest: Digest): Promise<boolean> {
    for (const child of await this.digests()) {
      // One that cannot be read keeps nothing.
      const manifest = await this.manifest(child).catch(() => undefined);
      if (manifest?.parents.includes(digest)) return true;
    }
    return false;
  }

  /** Makes a layer invisible. Returns where it is now, or undefined when there was none. */
  async #moveAside(digest: Digest): Promise<string | undefined> {
    const aside = join(this.store, `${DISCARDED}${newMakerMark()}`);
    try {
      await rename(this.directory(digest), aside);
      return aside;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Removes what killed processes left half made, and layers without a name that nobody uses. Returns what went. */
  async sweep(): Promise<string[]> {
    await this.names.sweep();
    await this.steps.sweep();
    this.pins.sweep();
    const removed = await this.sweepStaging();
    for (const file of await readdir(this.store)) {
      const digest = digestOf(file);
      if (digest === undefined) continue;
      await this.discardUnnamed(digest);
      if (!existsSync(this.directory(digest))) removed.push(file);
    }
    return removed;
  }

  /** Removes what killed processes left half made. */
  async sweepStaging(): Promise<string[]> {
    const removed: string[] = [];
    for (const file of await readdir(this.store)) {
      if (!isLeftover(file)) continue;
      await remove(join(this.store, file));
      removed.push(file);
    }
    return removed;
  }
}

export function corrupt(layer: string, reason: string, cause?: unknown): PlyboxError {
  const message = `layer ${layer} is corrupt: ${reason}; build it again, or remove it`;
  return new PlyboxError("layer/corrupt", message, { cause });
}

const isLeftover = (file: string): boolean =>
  (file.startsWith(STAGING) || file.startsWith(DISCARDED)) && !isMakerAlive(file);

function digestOf(file: string): Digest | undefined {
  try {
    return parseDigest(file);
  } catch {
    return undefined;
  }
}

const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true });

/** Renames a directory. False when `target` is taken. */
async function moveTo(directory: string, target: string): Promise<boolean> {
  try {
    await rename(directory, target);
    return true;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}

/** Power loss after a rename must not leave a name without content. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
