import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { Node } from "../../layers/tar/layer-tree.ts";
import { compressionOf, spoolArchive } from "../../layers/tar/spool.ts";
import { BLOCK, isZero, parseHeader } from "../../layers/tar/tar-header.ts";
import type { SpoolWork } from "../file-tree.ts";
import { openTree } from "../file-tree.ts";
import type { Source } from "../steps/copy-step.ts";

const CHUNK_BYTES = 1024 * 1024;

/**
 * What ADD makes of a file: the tree of an archive, compressed or not, where it is one.
 * @param path where it is kept uncompressed
 * @throws PlyboxError `file/bad-archive` for one that is damaged, `layer/too-large`, `aborted`
 */
export async function unpackAdded(source: Source, path: string, work: SpoolWork): Promise<Source> {
  const { node, tree } = source;
  if (node.type !== "file") return source;
  const head = await firstBlock(tree.file, node.offset, node.size);
  if (compressionOf(head) === undefined && !isHeader(head)) return source;
  const { bounds, signal } = work;
  await spoolArchive(contentOf(node, tree.file), path, { mostBytes: bounds.unpackedBytes, signal });
  if (!(await beginsWithHeader(path))) return source;
  const unpacked = await openTree(path, bounds);
  return { name: source.name, node: unpacked.root, tree: unpacked };
}

async function beginsWithHeader(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    return isHeader(await firstBlock(file, 0, BLOCK));
  } finally {
    await file.close();
  }
}

async function firstBlock(file: FileHandle, at: number, size: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(BLOCK), 0, Math.min(BLOCK, size), at);
  return buffer.subarray(0, bytesRead);
}

function isHeader(block: Buffer): boolean {
  if (block.length < BLOCK || isZero(block)) return false;
  try {
    parseHeader(block);
    return true;
  } catch {
    return false;
  }
}

async function* contentOf({ offset, size }: Node, file: FileHandle): AsyncGenerator<Buffer> {
  for (let done = 0; done < size; ) {
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(Math.min(CHUNK_BYTES, size - done)),
      0,
      undefined,
      offset + done,
    );
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    done += bytesRead;
  }
}
