import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { TreeHasher } from "../../layers/tree-digest.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { Digest } from "../../model/ids.ts";
import { shownPath, typeBits } from "./entry.ts";
import { LinkGroups } from "./link-groups.ts";
import type { Node } from "./stack.ts";
import { Stack, walk } from "./stack.ts";
import type { Tree } from "./tree.ts";
import type { Marks } from "./tree-program.ts";
import { TreeProgram } from "./tree-program.ts";

export interface TreeHash {
  /** SHA-256 of one line an entry: see `TreeHasher`. */
  readonly digest: Digest;
  readonly entries: number;
  /** Bytes of regular files, each once whatever names it has. */
  readonly bytes: number;
}

export interface HashOptions {
  readonly marks?: Marks;
  /** More bytes of files, holes included, are refused. */
  readonly mostBytes?: number;
  readonly signal?: AbortSignal;
}

const ZEROS = Buffer.alloc(1 << 20);

/**
 * The hash of what a stack of plies shows: names, types, modes, owners, bytes, targets, devices, extended attributes,
 * times to the second, and which names are one file. How much of a file is holes is not part of it, nor how the plies
 * come to show it: plies and the one that they are flattened to hash alike.
 * @param plies absolute paths, the lowest first
 * @throws PlyboxError `layer/too-large`, `aborted`, and as `TreeRequests.ask`
 */
export async function hashTree(plies: readonly string[], options: HashOptions = {}): Promise<TreeHash> {
  await using program = new TreeProgram(options.marks);
  return await hashStack(await Stack.open(program, plies), options);
}

async function hashStack(stack: Stack, { mostBytes, signal }: HashOptions = {}): Promise<TreeHash> {
  const hasher = new TreeHasher();
  const groups = new LinkGroups();
  let [entries, bytes] = [0, 0];
  for await (const { node, isLeaving } of walk(stack)) {
    if (signal?.aborted) throw new PlyboxError("aborted", "the hash was aborted", { cause: signal.reason });
    if (isLeaving || node.entry.kind === "whiteout") continue;
    entries++;
    const first = groups.meet(node);
    if (first === undefined) bytes += node.entry.size;
    if (mostBytes !== undefined && bytes > mostBytes) {
      throw new PlyboxError("layer/too-large", `${shownPath(node.path)} makes it more than ${mostBytes} bytes`);
    }
    addTo(hasher, node, first ?? (await contentOf(node)), first !== undefined);
  }
  return { digest: hasher.digest(), entries, bytes };
}

function addTo(hasher: TreeHasher, { path, entry }: Node, content: string | undefined, isLink: boolean): void {
  const { kind, uid, gid, modified, attributes } = entry;
  hasher.add({
    ...{ path, mode: typeBits(kind) | entry.mode, uid, gid },
    ...(content !== undefined && { content }),
    more: {
      modified,
      ...(isLink && { isLink }),
      ...(attributes.size > 0 && {
        attributes: [...attributes].map(([name, value]) => [name, value.toString("latin1")]),
      }),
    },
  });
}

async function contentOf({ path, entry, tree }: Node): Promise<string | undefined> {
  switch (entry.kind) {
    case "directory":
      return undefined;
    case "symlink":
      return entry.target;
    case "file":
      return await hashContent(tree, path, entry.size);
    default:
      return entry.device;
  }
}

async function hashContent(tree: Tree, path: string, size: number): Promise<Digest> {
  const hash = createHash("sha256");
  let at = 0;
  for await (const { offset, bytes } of tree.content(path)) {
    addZeros(hash, offset - at);
    hash.update(bytes);
    at = offset + bytes.length;
  }
  addZeros(hash, size - at);
  return hash.digest("hex") as Digest;
}

function addZeros(hash: Hash, count: number): void {
  for (let left = count; left > 0; left -= ZEROS.length) hash.update(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
}
