import { mkdir, rm } from "node:fs/promises";
import { atOnce } from "../../base/at-once.ts";
import type { Packing } from "../../layers/compression.ts";
import { packImage } from "../../layers/pack-image.ts";
import type { PackOptions } from "../../layers/pack-program.ts";
import { PlyboxError } from "../../model/errors.ts";
import { shownPath } from "./entry.ts";
import { flattenPlies } from "./flatten.ts";
import { filterAttributes } from "./squashfs-attributes.ts";
import type { Marks } from "./tree-program.ts";
import { TreeProgram } from "./tree-program.ts";

/** Ids on disk start at 0 and a sandbox has this many, so an id beyond belongs to nobody inside. */
const ID_COUNT = 65_536;
const OPAQUE = { trusted: "trusted.overlay.opaque", user: "user.overlay.opaque" } as const;

export interface PackPlyOptions extends Pick<PackOptions, "source" | "image" | "signal" | "onProgress"> {
  readonly packing: Packing;
  readonly marks?: Marks;
  /** More is refused: of names, and of bytes of files, whose holes are read like any other bytes. */
  readonly most?: { readonly entries: number; readonly bytes: number };
}

export interface PackedPly {
  readonly entries: number;
  /** Of regular files, holes included. */
  readonly bytes: number;
}

/**
 * Packs a ply, which nobody changes meanwhile, into an image that is the same ply when it is mounted as a layer: whiteouts and
 * opaque marks stay, what overlayfs noted of this machine goes. Times are kept to the second.
 * @throws PlyboxError `layer/too-large`, `input/invalid` naming what has an owner that no sandbox has, `layer/build-failed`,
 *   `host/missing`, `aborted`; of a refused image nothing stays
 */
export async function packPly(options: PackPlyOptions): Promise<PackedPly> {
  try {
    return await (options.packing.format === "squashfs" ? packSquashfsPly : packCopy)(options);
  } catch (error) {
    await rm(options.image, { force: true });
    throw error;
  }
}

async function measure({ source, marks, most }: PackPlyOptions): Promise<PackedPly> {
  await using program = new TreeProgram(marks);
  const { entries, bytes, foreign } = await (await program.open(source)).survey(ID_COUNT);
  if (foreign !== undefined) {
    const message = `${shownPath(foreign)} has an owner or a group from ${ID_COUNT} on, which no sandbox has`;
    throw new PlyboxError("input/invalid", message);
  }
  if (most !== undefined && (entries > most.entries || bytes > most.bytes)) {
    const message = `the changes are refused: ${entries} names and ${bytes} bytes, of ${most.entries} and ${most.bytes}`;
    throw new PlyboxError("layer/too-large", message);
  }
  return { entries, bytes };
}

/** The ply is measured while mksquashfs reads it, with a core of which it has no use yet; a refusal ends mksquashfs. */
async function packSquashfsPly(options: PackPlyOptions): Promise<PackedPly> {
  const { image, packing, marks = "trusted" } = options;
  const { compression, format } = packing;
  const size = measure(options);
  const totalBytes = size.then(
    ({ bytes }) => bytes,
    () => 0,
  );
  const pack = (signal: AbortSignal) =>
    packImage(format, { ...options, signal, compression, totalBytes, mounts: [], plainAttributes: true });
  await atOnce([() => size, pack], 2, async (part, signal) => void (await part(signal)), options.signal);
  const ours = `${marks}.overlay.`;
  const isKept = (name: string) =>
    name === OPAQUE[marks] || !(name.startsWith(ours) || name.startsWith("trusted.overlay."));
  await filterAttributes(image, isKept);
  return await size;
}

/** mkfs.erofs cannot leave attributes out, so it gets a copy without them. */
async function packCopy(options: PackPlyOptions): Promise<PackedPly> {
  const { image, source, packing, marks, signal } = options;
  const { compression, format } = packing;
  const size = await measure(options);
  const copy = `${image}.tree`;
  await mkdir(copy, { mode: 0o700 });
  try {
    const common = { ...(marks !== undefined && { marks }), ...(signal !== undefined && { signal }) };
    await flattenPlies({ plies: [source], target: copy, isLowest: false, ...common });
    await packImage(format, { ...options, source: copy, compression, totalBytes: size.bytes, mounts: [] });
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  return size;
}
