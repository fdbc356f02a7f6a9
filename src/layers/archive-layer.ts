import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Digest } from "../model/ids.ts";
import type { Packing } from "./compression.ts";
import { completeCompression } from "./compression.ts";
import type { ImageBounds } from "./image-bounds.ts";
import { imagePath, packImage } from "./pack-image.ts";
import type { BuildProgress } from "./pack-program.ts";
import { packSquashfsFromTar } from "./squashfs.ts";
import { LayerTree } from "./tar/layer-tree.ts";
import { spoolArchive } from "./tar/spool.ts";
import { readTar } from "./tar/tar-reader.ts";
import { writeTar } from "./tar/tar-writer.ts";
import { TreeMeter } from "./tar/tree-meter.ts";
import { unsquash } from "./unpacked-image.ts";

export interface ArchiveWork {
  readonly packing: Packing;
  readonly bounds: ImageBounds;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

/**
 * Makes an image of a tar archive in `staging`. The archive is read into a plan of the layer, checked, and written anew
 * for who packs it: nothing of it is unpacked by its own names, and neither devices nor owners take privileges.
 * Returns the SHA-256 of the archive as it came.
 * @throws PlyboxError `file/bad-archive`, `input/invalid`, `layer/too-large`, and as packing does
 */
export async function packArchive(archive: AsyncIterable<Buffer>, staging: string, work: ArchiveWork): Promise<Digest> {
  const { packing, bounds, signal, onProgress } = work;
  const spool = join(staging, "archive");
  const digest = await spoolArchive(archive, spool, {
    ...{ mostBytes: bounds.unpackedBytes, signal },
    onBytes: (doneBytes) => onProgress?.({ step: "read", doneBytes, totalBytes: null }),
  });
  const file = await open(spool, "r");
  try {
    const meter = new TreeMeter(bounds);
    const tree = new LayerTree(meter);
    for await (const entry of readTar(file, (await file.stat()).size)) tree.add(entry);
    const input = Readable.from(counted(writeTar(tree.root, file), meter.bytes, onProgress), { objectMode: false });
    const rootMode = tree.root.mode;
    const common = { input, rootMode, latest: meter.latest, totalBytes: meter.bytes, ...(signal && { signal }) };
    if (packing.format === "squashfs") {
      await packSquashfsFromTar({ ...common, image: imagePath(staging, "squashfs"), compression: packing.compression });
    } else await packThroughSquashfs(staging, work, common);
  } finally {
    await file.close();
    await rm(spool);
  }
  return digest;
}

/** Not every mkfs.erofs reads archives, but unsquashfs unpacks what mksquashfs made of one. */
async function packThroughSquashfs(
  staging: string,
  { packing, signal }: ArchiveWork,
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
  onProgress: ArchiveWork["onProgress"],
): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const chunk of chunks) {
    yield chunk;
    done += chunk.length;
    // Headers are not counted in the total.
    onProgress?.({ step: "pack", doneBytes: Math.min(done, totalBytes), totalBytes });
  }
}
