import { open, readdir, readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { PlyboxError } from "../../model/errors.ts";
import { runE2fs } from "./e2fsprogs.ts";

/** Of the superblock: where it is, how much of it is read, what tells ext4, and where it notes that there were errors. */
const SUPERBLOCK = { offset: 1024, bytes: 64, magicAt: 0x38, magic: 0xef53, stateAt: 0x3a, hadErrors: 2 } as const;
/** Above this, e2fsck has left errors that it does not mend unasked. */
const E2FSCK_MENDED = 3;

/**
 * Mends a file system that noted an error when it was last mounted, as one does whose disk ran full beneath it. What a
 * mount makes good by itself, from the journal, is left to it.
 * @throws PlyboxError `host/missing` without e2fsck, `sandbox/launch-failed` where it cannot be mended without a loss
 */
export async function mendImage(image: string): Promise<void> {
  if (!(await hadErrors(image)) || (await isAttached(image))) return;
  // What was written in vain takes room of the disk until it is given back.
  const { code, complaint } = await runE2fs("e2fsck", ["-p", "-E", "discard"], image);
  if (code !== null && code <= E2FSCK_MENDED) return;
  const message = `the writable layer is damaged, and to be mended by hand: ${complaint}`;
  throw new PlyboxError("sandbox/launch-failed", message, { step: "e2fsck" });
}

async function hadErrors(image: string): Promise<boolean> {
  const file = await open(image, "r");
  try {
    const { offset, bytes, magicAt, magic, stateAt } = SUPERBLOCK;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, offset);
    const isExt4 = bytesRead === bytes && buffer.readUInt16LE(magicAt) === magic;
    return isExt4 && (buffer.readUInt16LE(stateAt) & SUPERBLOCK.hadErrors) !== 0;
  } finally {
    await file.close();
  }
}

/** Whether a loop device shows the image: what is mounted somewhere must not be changed beneath. */
async function isAttached(image: string): Promise<boolean> {
  const devices = (await readdir("/sys/block")).filter((name) => name.startsWith("loop"));
  const files = devices.map((name) => readFile(join("/sys/block", name, "loop/backing_file"), "utf8").catch(() => ""));
  const path = await realpath(image);
  return (await Promise.all(files)).some((file) => file.trimEnd() === path);
}
