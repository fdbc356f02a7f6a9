import { open } from "node:fs/promises";
import { PlyboxError } from "../../model/errors.ts";
import { BYTES_PER_DISK_INODE } from "../../model/sandbox.ts";
import { runE2fs } from "./e2fsprogs.ts";

/** A page, so that what is written to a page is written to one block. */
const BLOCK_BYTES = 4096;
/** One inode for so many bytes: an ext4 inode takes 256, so a thirty-second of the image is theirs. */
const BYTES_PER_INODE = 8192;
const LEAST_INODES = 1024;
/** Those that ext4 takes for itself, `lost+found` among them. */
const RESERVED_INODES = 11;
const MIB = 1024 ** 2;
/** Of the journal: enough for small ones, and no more than is replayed in a blink. */
const JOURNAL = { share: 128, leastMiB: 4, mostMiB: 32 } as const;

export interface ImageRequest {
  /** Absolute path; nothing is there yet. */
  readonly image: string;
  readonly bytes: number;
  readonly inodes?: number;
}

/**
 * Makes an empty ext4 file system in a sparse file (docs/decisions/0012).
 * @throws PlyboxError `host/missing` without mkfs.ext4, `sandbox/launch-failed` with its complaint
 */
export async function formatImage({ image, bytes, inodes }: ImageRequest): Promise<void> {
  const file = await open(image, "wx", 0o600);
  try {
    await file.truncate(bytes - (bytes % BLOCK_BYTES));
  } finally {
    await file.close();
  }
  const options = [
    ...["-q", "-F", "-b", String(BLOCK_BYTES), "-N", String(inodeCount(bytes, inodes))],
    // Nothing is kept back for root, nor for a growth that never comes.
    ...["-m", "0", "-O", "^resize_inode", "-J", `size=${journalMiB(bytes)}`],
    // A sparse file is zeros already; whatever is written to it takes room and time.
    ...["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"],
  ];
  const { code, complaint } = await runE2fs("mkfs.ext4", options, image);
  if (code === 0) return;
  throw new PlyboxError("sandbox/launch-failed", `the writable layer could not be made: ${complaint}`, {
    step: "mkfs.ext4",
  });
}

function inodeCount(bytes: number, asked?: number): number {
  const inodes = asked ?? Math.max(LEAST_INODES, Math.floor(bytes / BYTES_PER_INODE));
  return Math.min(inodes + RESERVED_INODES, Math.floor(bytes / BYTES_PER_DISK_INODE));
}

const journalMiB = (bytes: number): number =>
  Math.min(JOURNAL.mostMiB, Math.max(JOURNAL.leastMiB, Math.floor(bytes / MIB / JOURNAL.share)));
