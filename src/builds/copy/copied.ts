import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Node } from "../../layers/tar/layer-tree.ts";
import { TreeHasher } from "../../layers/tree-digest.ts";
import type { Digest } from "../../model/ids.ts";

const CHUNK_BYTES = 1024 * 1024;

/** Whose what is copied becomes, and with which mode; what is null stays as it is. */
export interface Ownership {
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  readonly mode: number | null;
}

/** The same tree, owned otherwise; a file that has several names stays one. */
export function owned(root: Node, { owner, mode }: Ownership): Node {
  const made = new Map<Node, Node>();
  const copy = (node: Node): Node => {
    const known = made.get(node);
    if (known !== undefined) return known;
    const children = node.type === "directory" ? new Map<string, Node>() : node.children;
    const result: Node = {
      ...{ ...node, children, isImplied: false },
      ...owner,
      ...(mode !== null && node.type !== "symlink" && { mode }),
    };
    made.set(node, result);
    return result;
  };
  // By a list and not by recursion: a tree may be deeper than the stack.
  for (const pending = [root]; pending.length > 0; ) {
    const node = pending.pop() as Node;
    for (const [name, child] of node.children) {
      copy(node).children.set(name, copy(child));
      if (child.type === "directory") pending.push(child);
    }
  }
  return copy(root);
}

/** What trees hold: names, types, modes, owners, attributes, targets and contents, but no times. */
export class ContentDigests {
  readonly #files = new WeakMap<Node, Digest>();

  async of(root: Node, file: FileHandle): Promise<Digest> {
    const hasher = new TreeHasher();
    const names = new Map<Node, string>();
    const pending: [path: string, node: Node][] = [["", root]];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [path, node] = next;
      const first = node.type === "directory" ? undefined : names.get(node);
      names.set(node, first ?? path);
      const content = first ?? (await this.#contentOf(node, file));
      const { mode, uid, gid, type } = node;
      const attributes = [...node.attributes].map(([name, value]) => [name, value.toString("base64")]).sort();
      hasher.add({ path, mode, uid, gid, content, more: { type, isLink: first !== undefined, attributes } });
      const children = [...node.children].sort(([a], [b]) => (a < b ? 1 : -1));
      for (const [name, child] of children) pending.push([`${path}/${name}`, child]);
    }
    return hasher.digest();
  }

  async #contentOf(node: Node, file: FileHandle): Promise<string> {
    if (node.type !== "file") return node.type === "symlink" ? node.link : `${node.major}:${node.minor}`;
    const known = this.#files.get(node) ?? (await digestContent(node, file));
    this.#files.set(node, known);
    return known;
  }
}

async function digestContent({ offset, size }: Node, file: FileHandle): Promise<Digest> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size));
  for (let done = 0; done < size; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - done), offset + done);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
  return hash.digest("hex") as Digest;
}
