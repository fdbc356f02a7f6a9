import { execFile } from "node:child_process";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { PROGRAM_ENVIRONMENT, requireProgram } from "../../layers/programs.ts";
import { PlyboxError } from "../../model/errors.ts";

const SECTOR_BYTES = 4096;

/**
 * Makes an empty btrfs in a sparse file, whole or not at all.
 * @throws PlyboxError `host/missing` without mkfs.btrfs, `launcher/failed` with its complaint
 */
export async function makeImage(image: string, bytes: number): Promise<void> {
  const program = await requireProgram("mkfs.btrfs", "btrfs-progs");
  await mkdir(dirname(image), { recursive: true, mode: 0o700 });
  // One process alone has this directory: what is there by this name was left by one that was killed.
  const unfinished = `${image}.new`;
  await rm(unfinished, { force: true });
  const file = await open(unfinished, "wx", 0o600);
  try {
    await file.truncate(bytes - (bytes % SECTOR_BYTES));
    await format(program, unfinished);
    await file.sync();
    await rename(unfinished, image);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** One copy of everything: what is beneath keeps it, or does not. Of a sparse file there is nothing to discard. */
async function format(program: string, image: string): Promise<void> {
  const options = ["-q", "-K", "-d", "single", "-m", "single", "-L", "plybox", image];
  try {
    await promisify(execFile)(program, options, { env: PROGRAM_ENVIRONMENT });
  } catch (cause) {
    const { stderr = "" } = cause as { stderr?: string };
    const complaint = stderr.trim().split("\n").at(-1)?.replaceAll(image, "the image") ?? "";
    throw new PlyboxError("launcher/failed", `no pool for snapshots could be made: ${complaint}`, {
      step: "mkfs.btrfs",
      cause,
    });
  }
}
