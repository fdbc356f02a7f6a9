import { OPAQUE } from "../tar/attributes.ts";
import type { Node } from "../tar/layer-tree.ts";
import { directory, isWhiteout } from "../tar/layer-tree.ts";

/** As the kernel has it. */
const MOST_LINKS = 40;
const OPAQUE_KEYS: ReadonlySet<string> = new Set([OPAQUE, "user.overlay.opaque"]);

/** The directories from the root to one of them. */
type Trail = Node[];

/**
 * Lays a layer of an image over the tree of those below it, which becomes the tree of both: what the layer removes is
 * gone, and nothing is left of how it said so.
 */
export function applyLayer(tree: Node, layer: Node): void {
  if (!layer.isImplied) {
    const { children: _, attributes, ...said } = layer;
    Object.assign(tree, { ...said, attributes: kept(attributes) });
  }
  applyTo([tree], layer);
}

/** Makes the directories of an absolute path that are not there; where a file is in the way, it stays as it is. */
export function ensureDirectory(root: Node, path: string): void {
  if (follow([root], path) !== undefined) return;
  let node = root;
  for (const part of partsOf(path)) {
    const next = node.children.get(part) ?? directory();
    if (part === ".." || next.type !== "directory") return;
    node.children.set(part, next);
    node = next;
  }
}

function applyTo(trail: Trail, layer: Node): void {
  const { children } = last(trail);
  if (layer.attributes.has(OPAQUE)) children.clear();
  for (const [name, node] of layer.children) {
    if (isWhiteout(node)) children.delete(name);
    else if (node.type !== "directory") children.set(name, node);
    else {
      const linked = node.isImplied ? followed(trail, name) : undefined;
      if (linked !== undefined) {
        applyTo(linked, node);
      } else {
        trail.push(directoryFor(last(trail), name, node));
        applyTo(trail, node);
        trail.pop();
      }
    }
  }
}

/** Of a directory that the layer says nothing of itself, a link to one may be there: `lib` of many images. */
function followed(trail: Trail, name: string): Trail | undefined {
  const existing = last(trail).children.get(name);
  return existing?.type === "symlink" ? follow(trail, existing.link) : undefined;
}

function directoryFor(parent: Node, name: string, node: Node): Node {
  const existing = parent.children.get(name);
  const isThere = existing?.type === "directory";
  if (isThere && node.isImplied) return existing;
  const children = isThere ? existing.children : new Map<string, Node>();
  const made = { ...node, children, attributes: kept(node.attributes) };
  parent.children.set(name, made);
  return made;
}

const kept = (attributes: ReadonlyMap<string, Buffer>): Map<string, Buffer> =>
  new Map([...attributes].filter(([key]) => !OPAQUE_KEYS.has(key)));

/** Where a path leads from a directory of the tree, as the kernel would have it with the tree as its root. */
function follow(from: Trail, path: string, links = { left: MOST_LINKS }): Trail | undefined {
  let trail: Trail = path.startsWith("/") ? from.slice(0, 1) : [...from];
  for (const part of partsOf(path)) {
    if (part === "..") {
      if (trail.length > 1) trail.pop();
      continue;
    }
    const child = last(trail).children.get(part);
    if (child?.type === "directory") trail.push(child);
    else if (child?.type !== "symlink" || links.left-- === 0) return undefined;
    else {
      const target = follow(trail, child.link, links);
      if (target === undefined) return undefined;
      trail = target;
    }
  }
  return trail;
}

const partsOf = (path: string): readonly string[] => path.split("/").filter((part) => part !== "" && part !== ".");

/** A trail has its root at least. */
const last = (trail: Trail): Node => trail[trail.length - 1] as Node;
