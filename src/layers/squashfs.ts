import type { Readable } from "node:stream";
import type { Compression } from "./compression.ts";
import type { PackOptions } from "./pack-program.ts";
import { runPacker } from "./pack-program.ts";
import { requireProgram } from "./programs.ts";

/** The arguments of mksquashfs that ask for `compression`. */
export function squashfsArguments({ algorithm, level, blockBytes }: Compression): string[] {
  const levelArguments = level === null ? [] : ["-Xcompression-level", String(level)];
  return ["-comp", algorithm, ...levelArguments, "-b", String(blockBytes)];
}

const COMMON = [
  "-noappend",
  "-xattrs",
  // A file that cannot be read makes the build fail, not the layer incomplete.
  "-exit-on-error",
  "-no-recovery",
  "-no-progress",
  "-quiet",
];

/**
 * Packs a tree into a squashfs image. The same tree (names, contents, times, owners, modes, attributes) gives the same
 * bytes.
 * @throws PlyboxError `host/missing` without mksquashfs, `layer/build-failed` with its complaint, `aborted`
 */
export async function packSquashfs(options: PackOptions): Promise<void> {
  const { source, image, compression, fileTime } = options;
  const program = await requireProgram("mksquashfs", "squashfs-tools");
  // The superblock's time: the only part of the image that would differ between two runs.
  const time = ["-mkfs-time", "0", ...(fileTime === undefined ? [] : ["-all-time", String(fileTime)])];
  const packing = [...squashfsArguments(compression), ...(options.plainAttributes ? ["-noX"] : [])];
  const args = [source, image, ...packing, ...COMMON, "-one-file-system", ...time];
  await runPacker({ ...options, program, args });
}

export interface TarPackOptions extends Pick<PackOptions, "image" | "compression" | "totalBytes" | "signal"> {
  /** A tar archive that Plybox has written. */
  readonly input: Readable;
  /** Permission bits of the root, which has no entry. */
  readonly rootMode: number;
  /** The latest time in the archive, in seconds since 1970. */
  readonly latest: number;
}

/**
 * Packs an archive into a squashfs image; the same archive gives the same bytes. Of the root the mode is kept alone:
 * mksquashfs gives it to root, which a sandbox does not see, since its own root lies above.
 * @throws as `packSquashfs`, and what `input` fails with
 */
export async function packSquashfsFromTar(options: TarPackOptions): Promise<void> {
  const { image, compression, rootMode, latest } = options;
  const program = await requireProgram("mksquashfs", "squashfs-tools");
  // mksquashfs knows no option for the time of such a root, and would give it the present; this bounds it.
  const environment = { SOURCE_DATE_EPOCH: String(latest) };
  const root = ["-root-mode", rootMode.toString(8)];
  const args = ["-", image, "-tar", ...squashfsArguments(compression), ...COMMON, "-exports", ...root];
  await runPacker({ ...options, program, args, environment });
}
