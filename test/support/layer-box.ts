import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import type { LayerStoreOptions } from "../../src/layers/layer-store.ts";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { readMountPoints } from "../../src/layers/mount-table.ts";
import type { ImageMount, Mounter } from "../../src/layers/mounter.ts";
import { makeTreeIn, storedIn } from "./layer-trees.ts";

const run = promisify(execFile);

const isMounted = async (target: string): Promise<boolean> => (await readMountPoints()).includes(target);

/** Mounts through a loop device that frees itself, as the launcher does. */
class CommandMounter implements Mounter {
  /** Of layers; what is mounted while it is being made is a probe. */
  mounts = 0;

  async mountImage({ image, format, target }: ImageMount): Promise<void> {
    if (!image.includes("/.new.")) this.mounts++;
    await run("mount", ["-t", format, "-o", "loop,ro,nosuid,nodev", image, target]);
  }

  async unmount(target: string): Promise<void> {
    if (!(await isMounted(target))) return;
    // Another store on the same directories may be quicker.
    await run("umount", [target]).catch(async (error: unknown) => {
      if (await isMounted(target)) throw error;
    });
  }
}

/** A store of layers in a directory of its own. When it is disposed of, nothing may be mounted or have been warned of. */
export class LayerBox implements AsyncDisposable {
  readonly root: string;
  readonly mounter = new CommandMounter();
  readonly warnings: string[] = [];
  readonly store: LayerStore;

  private constructor(root: string) {
    this.root = root;
    this.store = this.makeStore();
  }

  static async make(): Promise<LayerBox> {
    return new LayerBox(await mkdtemp("/tmp/plybox-layers-"));
  }

  /** Another store on the same directories, as another process would have it. */
  makeStore(options: Partial<LayerStoreOptions> = {}): LayerStore {
    return new LayerStore({
      storeDirectory: join(this.root, "store"),
      mountDirectory: join(this.root, "mounts"),
      mounter: this.mounter,
      log: { warn: (_: object, message: string) => void this.warnings.push(message) },
      idleMs: 0,
      ...options,
    });
  }

  makeTree(name: string, content: string): string {
    return makeTreeIn(this.root, name, content);
  }

  imageOf(digest: string): string {
    return join(this.root, "store", digest, "image.squashfs");
  }

  stored(): string[] {
    return storedIn(join(this.root, "store"));
  }

  async mountsHere(): Promise<string[]> {
    return (await readMountPoints()).filter((point) => point.startsWith(this.root));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const left = await this.mountsHere();
    for (const point of left) await run("umount", [point]);
    // The kernel frees a loop device when the last that looks at it, such as another losetup, has closed it.
    await expect.poll(() => this.#loops()).toEqual([]);
    await rm(this.root, { recursive: true, force: true });
    expect({ left, warnings: this.warnings }).toEqual({ left: [], warnings: [] });
  }

  async #loops(): Promise<string[]> {
    const { stdout } = await run("losetup", ["-a"]);
    return stdout.split("\n").filter((line) => line.includes(this.root));
  }
}
