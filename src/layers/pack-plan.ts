import type { FileHandle } from "node:fs/promises";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { BuildProgress } from "../model/layer.ts";
import type { Packing } from "./compression.ts";
import { completeCompression } from "./compression.ts";
import type { ImageBounds } from "./image-bounds.ts";
import { imagePath, packImage } from "./pack-image.ts";
import { packSquashfsFromTar } from "./squashfs.ts";
import type { Node } from "./tar/layer-tree.ts";
import { writeTar } from "./tar/tar-writer.ts";
import { unsquash } from "./unpacked-image.ts";

export interface PlanWork {
  readonly packing: Packing;
  readonly bounds: ImageBounds;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

/** A tree whose contents are in `file`. */
export interface LayerPlan {
  readonly root: Node;
  readonly file: FileHandle;
  /** Of its files. */
  readonly bytes: number;
  /** The latest time in it, in seconds since 1970. */
  readonly latest: number;
}

/**
 * Makes an image of a plan in `staging`.
 * @throws as packing does
 */
export async function packPlan({ root, file, bytes, latest }: LayerPlan, staging: string, work: PlanWork) {
  const { packing, signal, onProgress } = work;
  const input = Readable.from(counted(writeTar(root, file), bytes, onProgress), { objectMode: false });
  const common = { input, rootMode: root.mode, latest, totalBytes: bytes, ...(signal && { signal }) };
  if (packing.format === "squashfs") {
    await packSquashfsFromTar({ ...common, image: imagePath(staging, "squashfs"), compression: packing.compression });
  } else await packThroughSquashfs(staging, work, common);
}

/** Not every mkfs.erofs reads archives, but unsquashfs unpacks what mksquashfs made of one. */
async function packThroughSquashfs(
  staging: string,
  { packing, signal }: PlanWork,
  common: Omit<Parameters<typeof packSquashfsFromTar>[0], "image" | "compression">,
): Promise<void> {
  const between = join(staging, "between");
  const source = join(staging, "tree");
  const compression = completeCompression("squashfs", "snapshot", { algorithm: "gzip" });
  await packSquashfsFromTar({ ...common, image: between, compression });
  await unsquash(between, source, { strict: true });
  await rm(between);
  const image = imagePath(staging, packing.format);
  const { totalBytes } = common;
  await packImage(packing.format, {
    ...{ source, image, compression: packing.compression, totalBytes, mounts: [] },
    ...(signal !== undefined && { signal }),
  });
  await rm(source, { recursive: true });
}

async function* counted(
  chunks: AsyncIterable<Buffer>,
  totalBytes: number,
  onProgress: PlanWork["onProgress"],
): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const chunk of chunks) {
    yield chunk;
    done += chunk.length;
    // Headers are not counted in the total.
    onProgress?.({ step: "pack", doneBytes: Math.min(done, totalBytes), totalBytes });
  }
}
