import type { Compression } from "../../src/layers/compression.ts";
import { completeCompression } from "../../src/layers/compression.ts";
import type { ImageFormat } from "../../src/model/layer.ts";

export const BLOCKS: readonly number[] = [65_536, 131_072, 262_144, 1_048_576];

/** One way to pack. */
export interface Setting {
  /** `squashfs-zstd-15`, whatever its blocks. */
  readonly name: string;
  readonly format: ImageFormat;
  readonly compression: Compression;
}

/** The standard levels of layers and of snapshots, and nothing else: a level more is a setting more for each block size. */
const WAYS: readonly (readonly [format: ImageFormat, algorithm: string, level?: number])[] = [
  ["squashfs", "gzip", 9],
  ["squashfs", "gzip", 1],
  ["squashfs", "lz4"],
  ["squashfs", "lzo", 8],
  ["squashfs", "lzo", 1],
  ["squashfs", "xz"],
  ["squashfs", "zstd", 15],
  ["squashfs", "zstd", 3],
  ["erofs", "lz4"],
  ["erofs", "lz4hc", 12],
  ["erofs", "lz4hc", 1],
];

export const NAMES: readonly string[] = WAYS.map((way) => way.join("-"));

export function settingsOf(names: ReadonlySet<string>, blocks: readonly number[]): Setting[] {
  return WAYS.filter((way) => names.has(way.join("-"))).flatMap(([format, algorithm, level]) =>
    blocks.map((blockBytes) => ({
      name: [format, algorithm, ...(level === undefined ? [] : [level])].join("-"),
      format,
      compression: completeCompression(format, "layer", {
        ...{ algorithm, blockBytes },
        ...(level !== undefined && { level }),
      }),
    })),
  );
}
