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
  // The superblock's time: the only part of the image that would differ between two runs.
  ...["-mkfs-time", "0"],
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
  const time = fileTime === undefined ? [] : ["-all-time", String(fileTime)];
  const args = [source, image, ...squashfsArguments(compression), ...COMMON, "-one-file-system", ...time];
  await runPacker({ ...options, program, args });
}
