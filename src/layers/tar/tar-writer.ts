import type { FileHandle } from "node:fs/promises";
import { badArchive } from "./archive-error.ts";
import type { Node } from "./layer-tree.ts";
import { formatPax } from "./pax.ts";
import { BLOCK, formatHeader } from "./tar-header.ts";

const CHUNK_BYTES = 1024 * 1024;
/** What a header has room for. */
const SHORT = 100;
const LARGEST_SIZE = 0o77777777777;

const TYPE: Readonly<Record<Node["type"], string>> = {
  file: "0",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/**
 * The tree as an archive that says each thing in one way, directories before what is in them, in the order of the names:
 * the same tree gives the same bytes. Contents are read from `file` as they are needed. The root has no entry.
 * @param options.implied whether directories have an entry of which nothing is known but what is in them
 */
export async function* writeTar(root: Node, file: FileHandle, { implied = true } = {}): AsyncGenerator<Buffer> {
  /** The first name of each file; the others are links to it. */
  const written = new Map<Node, string>();
  for (const [path, node] of walk(root)) {
    if (node.isImplied && !implied) continue;
    const first = written.get(node);
    if (first !== undefined) {
      yield* head(path, { ...node, size: 0, attributes: new Map() }, "1", first);
      continue;
    }
    if (node.type !== "directory") written.set(node, path);
    yield* head(path, node, TYPE[node.type], node.link);
    if (node.size > 0) yield* content(node, file);
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** Not by recursion: each step would go through as many generators as the tree is deep. */
function* walk(root: Node): Generator<[path: string, node: Node]> {
  const pending: [path: string, node: Node][] = [];
  // The last one is taken first.
  const push = (node: Node, prefix: string): void => {
    if (node.children.size === 0) return;
    const names = [...node.children].sort(([a], [b]) => (a < b ? 1 : -1));
    for (const [name, child] of names) pending.push([prefix + name, child]);
  };
  push(root, "");
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield next;
    push(next[1], `${next[0]}/`);
  }
}

function* head(path: string, node: Node, type: string, link: string): Generator<Buffer> {
  const records = new Map<string, Buffer>();
  if (path.length > SHORT) records.set("path", Buffer.from(path, "latin1"));
  if (link.length > SHORT) records.set("linkpath", Buffer.from(link, "latin1"));
  if (node.size > LARGEST_SIZE) records.set("size", Buffer.from(String(node.size)));
  for (const [key, value] of [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    records.set(`SCHILY.xattr.${key}`, value);
  }
  const header = { ...node, name: path, link, type };
  if (records.size > 0) {
    const body = formatPax(records);
    yield formatHeader({ ...header, name: "record", link: "", type: "x", size: body.length, major: 0, minor: 0 });
    yield padded(body);
  }
  yield formatHeader(header);
}

async function* content({ offset, size }: Node, file: FileHandle): AsyncGenerator<Buffer> {
  for (let done = 0; done < size; ) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - done));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset + done);
    if (bytesRead === 0) throw badArchive("it became shorter while it was read");
    done += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  const over = size % BLOCK;
  if (over > 0) yield Buffer.alloc(BLOCK - over);
}

function padded(bytes: Buffer): Buffer {
  const over = bytes.length % BLOCK;
  return over === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(BLOCK - over)]);
}
