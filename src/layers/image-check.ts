import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../model/ids.ts";
import type { ImageFormat, LayerManifest } from "../model/layer.ts";
import { imagePath } from "./pack-image.ts";
import { digestFile } from "./tree-digest.ts";

const STAMP = "checked";

/**
 * Tells whether an image is still what its digest says. An image is read whole once; after that its identity (device,
 * inode, size, times) stands for its content until it changes. The identity is kept beside the image, so that a
 * one-shot run does not read gigabytes before its first command.
 */
export class ImageCheck {
  readonly #checked = new Map<Digest, string>();

  /** What is wrong with the image, or undefined when it is sound. */
  async problem(directory: string, format: ImageFormat, manifest: LayerManifest): Promise<string | undefined> {
    const image = imagePath(directory, format);
    const before = await identify(image);
    if (before === undefined) return "its image is missing";
    if (before.size !== manifest.bytes) return `its image has ${before.size} bytes instead of ${manifest.bytes}`;
    const stamp = join(directory, STAMP);
    const known = this.#checked.get(manifest.digest) ?? (await readFile(stamp, "utf8").catch(() => undefined));
    if (known !== before.identity) {
      if ((await digestFile(image)) !== manifest.digest) return "its image does not match its digest";
      if ((await identify(image))?.identity !== before.identity) return "its image changes while it is read";
      // Without the stamp the image is only read again next time.
      await writeFile(stamp, before.identity, { mode: 0o600 }).catch(() => undefined);
    }
    this.#checked.set(manifest.digest, before.identity);
    return undefined;
  }

  /** Forgets what is known, so that the next check reads the image. */
  async forget(directory: string, digest: Digest): Promise<void> {
    this.#checked.delete(digest);
    await writeFile(join(directory, STAMP), "").catch(() => undefined);
  }
}

async function identify(image: string): Promise<{ identity: string; size: number } | undefined> {
  const stats = await stat(image, { bigint: true }).catch(() => undefined);
  if (stats === undefined || !stats.isFile()) return undefined;
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  return { identity: [dev, ino, size, mtimeNs, ctimeNs].join(":"), size: Number(size) };
}
