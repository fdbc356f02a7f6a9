import { PlyboxError } from "../../model/errors.ts";
import { badArchive, shown } from "./archive-error.ts";
import { checkAttributes, OPAQUE } from "./attributes.ts";
import type { TarEntry } from "./tar-reader.ts";
import type { TreeMeter } from "./tree-meter.ts";
import { clampTime } from "./tree-meter.ts";

/** Ids on disk start at 0 and a sandbox has this many. */
const ID_COUNT = 65_536;
const MOST_NAME_BYTES = 255;
const MOST_PATH_BYTES = 4095;
const WHITEOUT = ".wh.";
const OPAQUE_MARKER = ".wh..wh..opq";
const RESERVED = ".wh..wh.";

type NodeType = "file" | "directory" | "symlink" | "character" | "block" | "fifo";

/** A file of the layer that is to be; several names may have one. */
export interface Node {
  readonly type: NodeType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly link: string;
  readonly major: number;
  readonly minor: number;
  readonly size: number;
  readonly offset: number;
  readonly attributes: Map<string, Buffer>;
  /** Of a directory, by name. */
  readonly children: Map<string, Node>;
  /** A directory that has no entry of its own, only entries below it. */
  readonly isImplied: boolean;
}

/** What most files have of attributes and children; there are millions of them. */
const NONE = new Map<string, never>();

const TYPES: Readonly<Record<string, NodeType>> = {
  "0": "file",
  "7": "file",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

/**
 * The tree that an archive describes, put together in memory: nothing of it is on a file system, so no name of it leads
 * anywhere. The last entry of a name holds. Whiteouts of the OCI format (`.wh.NAME`, `.wh..wh..opq`) become overlayfs's.
 */
export class LayerTree {
  readonly root: Node = directory();
  readonly #meter: TreeMeter;
  readonly #below: Node | undefined;

  /** @param below of an image's layer, the tree that it stands on: links may be to its files, and `/` is its root */
  constructor(meter: TreeMeter, below?: Node) {
    this.#meter = meter;
    this.#below = below;
  }

  /**
   * @throws PlyboxError `file/bad-archive` for what a layer cannot have or what leads out of it, `input/invalid` for an
   * owner id that no sandbox has, `layer/too-large`
   */
  add(entry: TarEntry): void {
    this.#meter.countEntry(entry);
    const path = this.#parse(entry.name, entry.name);
    const name = path.pop();
    if (name === undefined) {
      if (entry.type !== "5") throw badArchive(`${shown(entry.name)} is the root, and no directory`);
      this.#merge(this.root, nodeOf(entry, "directory"));
      return;
    }
    const parent = this.#directoryOf(path, entry.name);
    if (name === OPAQUE_MARKER) makeOpaque(parent);
    // What else aufs kept for itself is of no use.
    else if (name.startsWith(RESERVED)) return;
    else if (name.startsWith(WHITEOUT)) whiteOut(parent, name.slice(WHITEOUT.length), entry);
    else this.#place(parent, name, entry);
  }

  /** Builders of images write names of their roots either way. */
  #parse(name: string, of: string): string[] {
    return parsePath(this.#below === undefined ? name : name.replace(/^\/+/, ""), of);
  }

  #place(parent: Node, name: string, entry: TarEntry): void {
    const existing = parent.children.get(name);
    const node = entry.type === "1" ? this.#linkTarget(entry) : nodeOf(entry, typeOf(entry));
    if (existing === node) return;
    if (node.type !== "directory") replace(parent, name, node, entry);
    else if (existing?.type === "directory") parent.children.set(name, this.#merge(existing, node));
    else {
      if (existing !== undefined && isWhiteout(existing)) makeOpaque(node);
      parent.children.set(name, node);
    }
  }

  /** What a directory's own entry says of one that is there already. */
  #merge(existing: Node, node: Node): Node {
    const merged = { ...node, children: existing.children };
    if (existing.attributes.has(OPAQUE)) makeOpaque(merged);
    if (existing === this.root) Object.assign(this.root, merged);
    return merged;
  }

  #linkTarget({ name, link }: TarEntry): Node {
    const path = this.#parse(link, name);
    const node = find(this.root, path) ?? (this.#below && find(this.#below, path));
    if (node === undefined || node.type === "directory") {
      throw badArchive(`${shown(name)} is a link to ${shown(link)}, which is no file of the archive before it`);
    }
    return node;
  }

  #directoryOf(path: readonly string[], of: string): Node {
    let node = this.root;
    for (const part of path) {
      let next = node.children.get(part);
      if (next === undefined || isWhiteout(next)) {
        this.#meter.countInode();
        const made = directory();
        if (next !== undefined) makeOpaque(made);
        node.children.set(part, made);
        next = made;
      }
      if (next.type !== "directory") throw badArchive(`${shown(of)} lies below ${shown(part)}, which is no directory`);
      node = next;
    }
    return node;
  }
}

function find(root: Node, path: readonly string[]): Node | undefined {
  let node: Node | undefined = root;
  for (const part of path) node = node?.children.get(part);
  return node;
}

export const isWhiteout = ({ type, major, minor }: Node): boolean => type === "character" && major === 0 && minor === 0;

function replace(parent: Node, name: string, node: Node, entry: TarEntry): void {
  const existing = parent.children.get(name);
  if (existing !== undefined && isWhiteout(node)) {
    // What is in the layer goes before its removal from those below.
    if (existing.type === "directory") makeOpaque(existing);
    return;
  }
  if (existing?.type === "directory" && existing.children.size > 0) {
    throw badArchive(`${shown(entry.name)} takes the place of a directory with entries`);
  }
  parent.children.set(name, node);
}

function whiteOut(parent: Node, name: string, entry: TarEntry): void {
  if (name === "" || name === "." || name === "..") throw badArchive(`${shown(entry.name)} removes no name`);
  const node: Node = { ...nodeOf(entry, "character"), mode: 0, major: 0, minor: 0, size: 0, attributes: NONE };
  replace(parent, name, node, entry);
}

/** Both, since without privileges overlayfs looks at the users' attribute. */
function makeOpaque({ attributes }: Node): void {
  attributes.set(OPAQUE, Buffer.from("y"));
  attributes.set("user.overlay.opaque", Buffer.from("y"));
}

/** @param of the entry that is refused */
function parsePath(text: string, of: string): string[] {
  if (text.startsWith("/")) throw badArchive(`${shown(of)} has an absolute name`);
  if (text.includes("\0")) throw badArchive(`${shown(of)} has a NUL in its name`);
  if (text.length > MOST_PATH_BYTES) throw badArchive(`${shown(of)} has a path of ${text.length} bytes`);
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  for (const part of parts) {
    if (part === "..") throw badArchive(`${shown(of)} leads out by ".."`);
    if (part.length > MOST_NAME_BYTES) throw badArchive(`${shown(of)} has a name of ${part.length} bytes`);
  }
  return parts;
}

function typeOf({ name, type }: TarEntry): NodeType {
  // Archives from before there was a type for directories.
  if (type === "0" && name.endsWith("/")) return "directory";
  const known = TYPES[type];
  if (known === undefined) throw badArchive(`${shown(name)} is of the unknown type ${shown(type)}`);
  return known;
}

function nodeOf(entry: TarEntry, type: NodeType): Node {
  const { name, mode, uid, gid, mtime, link, major, minor, size, offset } = entry;
  for (const [what, id] of Object.entries({ owner: uid, group: gid })) {
    if (id < 0 || id >= ID_COUNT) {
      throw new PlyboxError("input/invalid", `${shown(name)} has ${what} id ${id}; a layer holds ids 0 to 65535`);
    }
  }
  if (type === "symlink" && (link === "" || link.length > MOST_PATH_BYTES || link.includes("\0"))) {
    throw badArchive(`${shown(name)} is a link to nothing that a path can be`);
  }
  const isDevice = type === "character" || type === "block";
  const isDirectory = type === "directory";
  return {
    ...{ type, mode, uid, gid, mtime: clampTime(mtime), size: type === "file" ? size : 0, offset },
    link: type === "symlink" ? link : "",
    // As many as the image's format has room for.
    major: isDevice ? major & 0xfff : 0,
    minor: isDevice ? minor & 0xfffff : 0,
    attributes: isDirectory || entry.attributes.size > 0 ? checkAttributes(entry) : NONE,
    children: isDirectory ? new Map() : NONE,
    isImplied: false,
  };
}

/** What removes a name from the layers below. */
export const whiteout = (): Node => ({
  ...directory(),
  ...{ type: "character", mode: 0, attributes: NONE, children: NONE, isImplied: false },
});

export function directory(): Node {
  return {
    ...{ type: "directory", mode: 0o755, uid: 0, gid: 0, mtime: 0, link: "", major: 0, minor: 0, size: 0, offset: 0 },
    attributes: new Map(),
    children: new Map(),
    isImplied: true,
  };
}
