import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { Node } from "../layers/tar/layer-tree.ts";
import { LayerTree } from "../layers/tar/layer-tree.ts";
import { spoolArchive } from "../layers/tar/spool.ts";
import { readTar } from "../layers/tar/tar-reader.ts";
import type { TreeBounds } from "../layers/tar/tree-meter.ts";
import { TreeMeter } from "../layers/tar/tree-meter.ts";

/** A tree in memory whose contents are in a file, until it is disposed of. */
export interface FileTree extends AsyncDisposable {
  readonly root: Node;
  readonly file: FileHandle;
}

export interface SpoolWork {
  readonly bounds: TreeBounds;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * The tree of an archive, which is kept uncompressed at `path` as long as whoever made the directory wants it.
 * @throws PlyboxError `file/bad-archive`, `layer/too-large`, `aborted`
 */
export async function spoolTree(archive: AsyncIterable<Buffer>, path: string, work: SpoolWork): Promise<FileTree> {
  const { bounds, signal, onBytes } = work;
  await spoolArchive(archive, path, { mostBytes: bounds.unpackedBytes, signal, onBytes });
  return await openTree(path, bounds);
}

/**
 * The tree of an uncompressed archive.
 * @throws PlyboxError `file/bad-archive`, `layer/too-large`
 */
export async function openTree(path: string, bounds: TreeBounds): Promise<FileTree> {
  const file = await open(path, "r");
  try {
    const tree = new LayerTree(new TreeMeter(bounds));
    for await (const entry of readTar(file, (await file.stat()).size)) tree.add(entry);
    return { root: tree.root, file, [Symbol.asyncDispose]: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A path or name as trees have it: one character a byte. */
export const toBytes = (text: string): string => Buffer.from(text).toString("latin1");

/** As people read it. */
export const toText = (bytes: string): string => Buffer.from(bytes, "latin1").toString();

/** The content of a small file of a tree. */
export async function readNode({ file }: FileTree, node: Node): Promise<Buffer> {
  const bytes = Buffer.alloc(node.size);
  await file.read(bytes, 0, node.size, node.offset);
  return bytes;
}
