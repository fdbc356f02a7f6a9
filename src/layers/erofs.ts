import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";
import { PlyboxError } from "../model/errors.ts";
import type { Compression } from "./compression.ts";
import type { PackOptions } from "./pack-program.ts";
import { runPacker } from "./pack-program.ts";
import { requireProgram } from "./programs.ts";

/** Of the time in the superblock: seconds, then nanoseconds. */
const BUILD_TIME = { offset: 1024 + 24, bytes: 12 };

const erofsArguments = ({ algorithm, level, blockBytes }: Compression): string[] => [
  level === null ? `-z${algorithm}` : `-z${algorithm},${level}`,
  `-C${blockBytes}`,
];

/**
 * Packs a tree into an erofs image. The same tree gives the same bytes, as with `packSquashfs`.
 * @throws PlyboxError `host/missing` without mkfs.erofs, `layer/build-failed` with its complaint, `aborted`
 */
export async function packErofs(options: PackOptions): Promise<void> {
  const { source, image, compression, mounts, fileTime } = options;
  const program = await requireProgram("mkfs.erofs", "erofs-utils");
  const args = [
    "--quiet",
    ...erofsArguments(compression),
    ...["-U", "00000000-0000-0000-0000-000000000000"],
    // Every inode has its own time, since the superblock's is taken out; so the checksum over it would be wrong.
    "-Eforce-inode-extended,nosbcrc",
    ...(fileTime === undefined ? [] : [`-T${fileTime}`]),
    ...mounts.map((path) => `--exclude-path=${textOf(path)}`),
    image,
    source,
  ];
  await runPacker({ ...options, program, args });
  await clearBuildTime(image);
}

async function clearBuildTime(image: string): Promise<void> {
  const file = await open(image, "r+");
  try {
    await file.write(Buffer.alloc(BUILD_TIME.bytes), 0, BUILD_TIME.bytes, BUILD_TIME.offset);
  } finally {
    await file.close();
  }
}

/** Names come as one character a byte; a program's argument is text. */
function textOf(path: string): string {
  const bytes = Buffer.from(path, "latin1");
  if (isUtf8(bytes)) return bytes.toString();
  const shown = JSON.stringify(bytes.toString());
  throw new PlyboxError("input/invalid", `${shown} is a mount whose name is not UTF-8; unmount it, or use squashfs`, {
    field: "directory",
  });
}
