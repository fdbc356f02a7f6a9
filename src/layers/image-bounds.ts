import { PlyboxError } from "../model/errors.ts";

/** What an image may hold at most, whoever made it. */
export interface ImageBounds {
  /** Files, directories and all else that has an inode. */
  readonly inodes: number;
  /** Bytes of its files when they are unpacked, which happens only where images cannot be mounted. */
  readonly unpackedBytes: number;
}

export const IMAGE_BOUNDS: ImageBounds = { inodes: 4_194_304, unpackedBytes: 64 * 1024 ** 3 };

export const tooLarge = (layer: string, what: string): PlyboxError =>
  new PlyboxError("layer/too-large", `layer ${layer} is refused: ${what}`);
