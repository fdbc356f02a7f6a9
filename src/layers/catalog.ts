import { existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Digest, LayerName } from "../model/ids.ts";
import type { LayerManifest } from "../model/layer.ts";
import { diskBytes } from "./disk-usage.ts";
import type { ImageBounds } from "./image-bounds.ts";
import { IMAGE_BOUNDS } from "./image-bounds.ts";
import { isMakerAlive, newMakerMark } from "./maker-mark.ts";
import { formatManifest } from "./manifest.ts";
import { NameIndex } from "./name-index.ts";
import { Pins } from "./pins.ts";
import { StepIndex } from "./step-index.ts";
import { StoredLayers } from "./stored-layers.ts";

const STAGING = ".new.";
const DISCARDED = ".old.";

/** Whether a sandbox stands on a layer that no living process may have pinned, such as a stopped one. */
export type StandingCheck = (digest: Digest) => Promise<boolean>;

/**
 * Which layers are on disk, by what names, and who needs them: `<store>/<digest>/` of each, `<store>/names/`,
 * `<store>/steps/` and `<store>/pins/`. A layer appears and disappears by one rename, so nobody ever sees half of one; what a killed
 * process leaves has its mark in its name and is swept.
 */
export class Catalog {
  readonly names: NameIndex;
  readonly steps: StepIndex;
  readonly pins: Pins;
  readonly layers: StoredLayers;
  /** The directory that all of it is in. */
  readonly store: string;
  readonly #isStoodOn: StandingCheck;

  constructor(store: string, bounds: ImageBounds = IMAGE_BOUNDS, isStoodOn: StandingCheck = async () => false) {
    this.store = store;
    this.#isStoodOn = isStoodOn;
    this.layers = new StoredLayers(store, bounds);
    this.names = new NameIndex(join(store, "names"));
    this.steps = new StepIndex(join(store, "steps"));
    this.pins = new Pins(join(store, "pins"));
  }

  async prepare(): Promise<void> {
    await mkdir(this.store, { recursive: true, mode: 0o700 });
    this.names.prepare();
    await this.pins.prepare();
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
    const target = this.layers.directory(manifest.digest);
    while (!(await moveTo(staging, target))) {
      if (await this.layers.isSound(manifest.digest)) return await remove(staging);
      const damaged = await this.#moveAside(manifest.digest);
      if (damaged !== undefined) await remove(damaged);
    }
    this.layers.forget(manifest.digest);
    await sync(this.store);
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
      await rename(discarded, this.layers.directory(digest));
      return false;
    }
    this.layers.forget(digest);
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
    for (const child of await this.layers.digests()) {
      // One that cannot be read keeps nothing.
      const manifest = await this.layers.manifest(child).catch(() => undefined);
      if (manifest?.parents.includes(digest)) return true;
    }
    return false;
  }

  /** Makes a layer invisible. Returns where it is now, or undefined when there was none. */
  async #moveAside(digest: Digest): Promise<string | undefined> {
    const aside = join(this.store, `${DISCARDED}${newMakerMark()}`);
    try {
      await rename(this.layers.directory(digest), aside);
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
    for (const digest of await this.layers.digests()) {
      await this.discardUnnamed(digest);
      if (!existsSync(this.layers.directory(digest))) removed.push(digest);
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

const isLeftover = (file: string): boolean =>
  (file.startsWith(STAGING) || file.startsWith(DISCARDED)) && !isMakerAlive(file);

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
