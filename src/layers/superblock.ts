import { open } from "node:fs/promises";
import type { ImageFormat } from "../model/layer.ts";
import { EROFS_OFFSET, EROFS_SUPERBLOCK_BYTES, parseErofsSuperblock } from "./erofs-superblock.ts";

/** Where a squashfs 4.0 image begins; docs/layers.md says what is asked of it. */
const SUPERBLOCK_BYTES = 96;
const MAGIC = 0x73717368;
/** The highest that the kernel reads. */
const MOST_BLOCK_BYTES = 1024 * 1024;
const LEAST_BLOCK_BYTES = 4096;
/** gzip, lzo, xz, lz4 and zstd by their numbers; the kernel knows no others. */
const COMPRESSIONS: ReadonlySet<number> = new Set([1, 3, 4, 5, 6]);
const NONE = 0xffff_ffff_ffff_ffffn;
/** An inode has at least 16 bytes, and a block of metadata holds 8 KiB, which take two bytes of length at the least. */
const INODES_PER_METADATA_BYTE = 8192 / 16 / 2;

export interface Superblock {
  readonly inodes: number;
  readonly usedBytes: bigint;
}

const HEADS = {
  squashfs: { offset: 0, length: SUPERBLOCK_BYTES, parse: parseSuperblock },
  erofs: { offset: EROFS_OFFSET, length: EROFS_SUPERBLOCK_BYTES, parse: parseErofsSuperblock },
} as const satisfies Record<ImageFormat, unknown>;

/**
 * What an image says of itself, or a text that says what of it cannot be true. The kernel looks too, but with its own
 * rights; what it would be told first is checked here.
 */
export async function readSuperblock(image: string, format: ImageFormat): Promise<Superblock | string> {
  const { offset, length, parse } = HEADS[format];
  const file = await open(image, "r");
  try {
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await file.read(bytes, 0, length, offset);
    if (bytesRead < length) return `its image is too short for ${format}`;
    return parse(bytes, BigInt((await file.stat()).size));
  } finally {
    await file.close();
  }
}

/** @param fileBytes size of the whole image; the result is a text that says what is wrong */
export function parseSuperblock(bytes: Buffer, fileBytes: bigint): Superblock | string {
  if (bytes.readUInt32LE(0) !== MAGIC) return "its image is no squashfs";
  const [major, minor] = [bytes.readUInt16LE(28), bytes.readUInt16LE(30)];
  if (major !== 4 || minor !== 0) return `its image is a squashfs of version ${major}.${minor}`;
  const compression = bytes.readUInt16LE(20);
  if (!COMPRESSIONS.has(compression)) return `its image has the unknown compression ${compression}`;
  const blockBytes = bytes.readUInt32LE(12);
  const isPossible = blockBytes >= LEAST_BLOCK_BYTES && blockBytes <= MOST_BLOCK_BYTES;
  if (!isPossible || blockBytes !== 2 ** bytes.readUInt16LE(22)) return `its image has blocks of ${blockBytes} bytes`;
  const usedBytes = bytes.readBigUInt64LE(40);
  if (usedBytes > fileBytes) return `its image claims ${usedBytes} bytes and has ${fileBytes}`;
  return tablesProblem(bytes, usedBytes) ?? inodesOf(bytes, usedBytes);
}

const TABLES = { id: 48, xattr: 56, inode: 64, directory: 72, fragment: 80, export: 88 } as const;

function tablesProblem(bytes: Buffer, usedBytes: bigint): string | undefined {
  for (const [name, offset] of Object.entries(TABLES)) {
    const start = bytes.readBigUInt64LE(offset);
    const isOptional = name === "xattr" || name === "fragment" || name === "export";
    if (isOptional && start === NONE) continue;
    if (start < SUPERBLOCK_BYTES || start >= usedBytes) return `the ${name} table of its image lies outside of it`;
  }
  const isOrdered = bytes.readBigUInt64LE(TABLES.inode) < bytes.readBigUInt64LE(TABLES.directory);
  return isOrdered ? undefined : "the tables of its image are out of order";
}

function inodesOf(bytes: Buffer, usedBytes: bigint): Superblock | string {
  const inodes = bytes.readUInt32LE(4);
  if (inodes === 0) return "its image has no inodes";
  const room = bytes.readBigUInt64LE(TABLES.directory) - bytes.readBigUInt64LE(TABLES.inode);
  if (BigInt(inodes) > room * BigInt(INODES_PER_METADATA_BYTE)) {
    return `its image claims ${inodes} inodes in ${room} bytes`;
  }
  return { inodes, usedBytes };
}
