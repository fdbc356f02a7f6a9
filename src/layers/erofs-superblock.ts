import type { Superblock } from "./superblock.ts";

/** Where the superblock of an erofs image is; docs/layers.md says what is asked of it. */
export const EROFS_OFFSET = 1024;
export const EROFS_SUPERBLOCK_BYTES = 128;
const MAGIC = 0xe0f5_e1e2;
const BLOCK_BITS = 12;
/** Everything that mkfs.erofs makes of a tree, up to its version 1.8; what a later kernel may learn to read is not among it. */
const KNOWN_FEATURES = 0x7f;
/** The smallest that an inode can be. */
const INODE_BYTES = 32n;

/** @param fileBytes size of the whole image; the result is a text that says what is wrong */
export function parseErofsSuperblock(bytes: Buffer, fileBytes: bigint): Superblock | string {
  if (bytes.readUInt32LE(0) !== MAGIC) return "its image is no erofs";
  const blockBits = bytes.readUInt8(12);
  if (blockBits !== BLOCK_BITS) return `its image has blocks of 2^${blockBits} bytes`;
  const features = bytes.readUInt32LE(80);
  if ((features & ~KNOWN_FEATURES) !== 0) return `its image has unknown features, ${features.toString(16)}`;
  // Of files that the image names no digest is known, and kernels differ in whether they open them.
  if (bytes.readUInt16LE(86) !== 0) return "its image wants other files or devices beside itself";
  const blocks = BigInt(bytes.readUInt32LE(36));
  const usedBytes = blocks << BigInt(BLOCK_BITS);
  if (usedBytes > fileBytes) return `its image claims ${usedBytes} bytes and has ${fileBytes}`;
  for (const [name, offset] of Object.entries({ inode: 40, attribute: 44 })) {
    if (BigInt(bytes.readUInt32LE(offset)) >= blocks) return `the ${name} area of its image lies outside of it`;
  }
  const inodes = bytes.readBigUInt64LE(16);
  if (inodes === 0n) return "its image has no inodes";
  if (inodes * INODE_BYTES > usedBytes) return `its image claims ${inodes} inodes in ${usedBytes} bytes`;
  return { inodes: Number(inodes), usedBytes };
}
