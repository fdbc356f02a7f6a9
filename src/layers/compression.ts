import { PlyboxError } from "../model/errors.ts";
import type { LayerManifest } from "../model/layer.ts";

/** How an image is compressed; `level` is null where the algorithm has none. */
export type Compression = NonNullable<LayerManifest["compression"]>;

/** What layers are packed with: they are written once and read by every sandbox, so size is worth the time. */
export const LAYER_COMPRESSION: Compression = { algorithm: "zstd", level: 15, blockBytes: 131_072 };

const HIGHEST_LEVEL: ReadonlyMap<string, number | null> = new Map([
  ["zstd", 22],
  ["gzip", 9],
  ["lzo", 9],
  ["xz", null],
  ["lz4", null],
]);

function refuse(field: string, message: string): never {
  throw new PlyboxError("input/invalid", message, { field: `compression.${field}` });
}

/**
 * The arguments of mksquashfs that ask for `compression`.
 * @throws PlyboxError `input/invalid`
 */
export function compressionArguments({ algorithm, level, blockBytes }: Compression): string[] {
  const highest = HIGHEST_LEVEL.get(algorithm);
  if (highest === undefined) {
    refuse(
      "algorithm",
      `unknown compression ${JSON.stringify(algorithm)}; one of ${[...HIGHEST_LEVEL.keys()].join(", ")}`,
    );
  }
  if (level !== null && highest === null) refuse("level", `${algorithm} has no levels`);
  if (level !== null && highest !== null && !(Number.isInteger(level) && level >= 1 && level <= highest)) {
    refuse("level", `the level of ${algorithm} is 1 to ${highest}, not ${level}`);
  }
  const isPowerOfTwo = Number.isInteger(Math.log2(blockBytes));
  if (!isPowerOfTwo || blockBytes < 4096 || blockBytes > 1_048_576) {
    refuse("blockBytes", `a block is a power of two of 4096 to 1048576 bytes, not ${blockBytes}`);
  }
  const levelArguments = level === null ? [] : ["-Xcompression-level", String(level)];
  return ["-comp", algorithm, ...levelArguments, "-b", String(blockBytes)];
}
