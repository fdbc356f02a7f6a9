import { mkdir, readdir, realpath, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../model/ids.ts";
import type { ImageFormat } from "../model/layer.ts";
import { readMountPoints } from "./mount-table.ts";
import type { Mounter } from "./mounter.ts";

/** The directory below which images are mounted, each at its digest. One process at a time uses one. */
export class LayerMounts {
  readonly #directory: string;
  readonly #mounter: Mounter;

  constructor(directory: string, mounter: Mounter) {
    this.#directory = directory;
    this.#mounter = mounter;
  }

  /** Where a layer's image is mounted when it is. */
  target(digest: Digest): string {
    return join(this.#directory, digest);
  }

  /** Whether the image is mounted, by this process or one before it. */
  async isMounted(digest: Digest): Promise<boolean> {
    return (await this.#mounted()).includes(digest);
  }

  async mount(digest: Digest, image: string, format: ImageFormat): Promise<string> {
    const target = this.target(digest);
    if (!this.#mounter.private) await mkdir(target, { recursive: true, mode: 0o700 });
    try {
      await this.#mounter.mountImage({ image, format, target });
    } catch (error) {
      await this.#removeTarget(digest);
      throw error;
    }
    return target;
  }

  async unmount(digest: Digest): Promise<void> {
    await this.#mounter.unmount(this.target(digest));
    await this.#removeTarget(digest);
  }

  /** The digest of each mount, once a mount, and of each directory that waits for one. */
  async leftovers(): Promise<string[]> {
    if (this.#mounter.private) return [];
    const directories = await readdir(this.#directory).catch(() => []);
    const mounted = await this.#mounted();
    return [...mounted, ...directories.filter((name) => !mounted.includes(name))];
  }

  async #mounted(): Promise<string[]> {
    if (this.#mounter.private) return [];
    // The kernel's table has resolved paths.
    const directory = await realpath(this.#directory).catch(() => undefined);
    if (directory === undefined) return [];
    const below = (await readMountPoints()).filter((point) => point.startsWith(`${directory}/`));
    return below.map((point) => point.slice(directory.length + 1));
  }

  /** Fails when the image is mounted a second time, which is then still to be unmounted, or was never made. */
  async #removeTarget(digest: Digest): Promise<void> {
    if (!this.#mounter.private) await rmdir(this.target(digest)).catch(() => undefined);
  }
}
