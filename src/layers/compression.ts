import { PlyboxError } from "../model/errors.ts";
import type { ImageFormat, LayerManifest, PackingRequest } from "../model/layer.ts";

/** How an image is compressed; `level` is null where the algorithm has none. */
export type Compression = NonNullable<LayerManifest["compression"]>;

/** What an image is packed for: a layer is written once and read by every sandbox, a snapshot is waited for. */
export type Purpose = "layer" | "snapshot";

/** How images are packed. */
export interface Packing {
  readonly format: ImageFormat;
  readonly compression: Compression;
}

/** How images are packed where nothing else is asked for: the format, and what each format is compressed with. */
export interface Packings {
  readonly format: ImageFormat;
  readonly squashfs: Compression;
  readonly erofs: Compression;
}

interface Levels extends Readonly<Record<Purpose, number>> {
  readonly highest: number;
}

type Algorithms = Readonly<Record<string, Levels | null>>;

/** What the kernel can read at all; which of it this machine packs and reads is found out by trying. */
const ALGORITHMS: Readonly<Record<ImageFormat, Algorithms>> = {
  squashfs: {
    gzip: { highest: 9, layer: 9, snapshot: 1 },
    lz4: null,
    lzo: { highest: 9, layer: 8, snapshot: 1 },
    xz: null,
    zstd: { highest: 22, layer: 15, snapshot: 3 },
  },
  erofs: {
    lz4: null,
    lz4hc: { highest: 12, layer: 12, snapshot: 1 },
    lzma: { highest: 9, layer: 6, snapshot: 1 },
    deflate: { highest: 9, layer: 9, snapshot: 1 },
    zstd: { highest: 22, layer: 15, snapshot: 3 },
  },
};

const STANDARD_ALGORITHM: Readonly<Record<ImageFormat, string>> = { squashfs: "zstd", erofs: "lz4" };
const STANDARD_BLOCK_BYTES = 131_072;
const LEAST_BLOCK_BYTES = 4096;
const MOST_BLOCK_BYTES = 1_048_576;

function refuse(field: string, message: string): never {
  throw new PlyboxError("input/invalid", message, { field });
}

/**
 * A compression with what is not asked for at its standard: the format's algorithm, the algorithm's level, blocks of 128 KiB.
 * @throws PlyboxError `input/invalid` for what no kernel reads, with `level`, `algorithm` or `blockBytes` as its field
 */
export function completeCompression(
  format: ImageFormat,
  purpose: Purpose,
  { algorithm = STANDARD_ALGORITHM[format], level, blockBytes = STANDARD_BLOCK_BYTES }: PackingRequest = {},
): Compression {
  const known = ALGORITHMS[format];
  const levels = Object.hasOwn(known, algorithm) ? known[algorithm] : undefined;
  if (levels === undefined) {
    const all = Object.keys(known).join(", ");
    refuse("algorithm", `${format} has no compression ${JSON.stringify(algorithm.slice(0, 40))}; it has ${all}`);
  }
  if (levels === null && level !== undefined) refuse("level", `${algorithm} has no levels in ${format}`);
  if (levels !== null && level !== undefined && !(Number.isInteger(level) && level >= 1 && level <= levels.highest)) {
    refuse("level", `the level of ${algorithm} is 1 to ${levels.highest} in ${format}, not ${level}`);
  }
  const isPowerOfTwo = Number.isInteger(Math.log2(blockBytes));
  if (!isPowerOfTwo || blockBytes < LEAST_BLOCK_BYTES || blockBytes > MOST_BLOCK_BYTES) {
    refuse("blockBytes", `a block is a power of two of 4096 to 1048576 bytes, not ${blockBytes}`);
  }
  return { algorithm, level: level ?? levels?.[purpose] ?? null, blockBytes };
}

/** squashfs, zstd 15 in blocks of 128 KiB; docs/compression.md shows the figures behind it. */
export const LAYER_PACKINGS: Packings = {
  format: "squashfs",
  squashfs: completeCompression("squashfs", "layer"),
  erofs: completeCompression("erofs", "layer"),
};

/**
 * What `request` asks for, and the standard for the rest. Another algorithm has its own level for the purpose.
 * @throws PlyboxError `input/invalid`, as `completeCompression`
 */
export function choosePacking(standard: Packings, request: PackingRequest = {}, purpose: Purpose = "layer"): Packing {
  const format = request.format ?? standard.format;
  const { algorithm, level, blockBytes } = standard[format];
  const isSame = request.algorithm === undefined || request.algorithm === algorithm;
  const compression = completeCompression(format, purpose, {
    ...{ algorithm, blockBytes },
    ...(isSame && level !== null && { level }),
    ...request,
  });
  return { format, compression };
}
